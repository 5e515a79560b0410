use super::*;
use crate::key::{Environment, KeyKind, KeyStyle, Prefix, TagKey, TagPolicy, TagRing};
use crate::random::OsRandom;

const BODY: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs1rA0BT";
const SHOWN: &str = "pm_live_0123456789AB[redacted]";

fn redactor() -> Redactor {
    Redactor::new(&KeyFormat::default())
}

fn both_styles() -> Redactor {
    let format = KeyFormat::builder().also_accept(KeyStyle::Compact);
    Redactor::new(&format.build().unwrap())
}

fn compact_only() -> Redactor {
    let format = KeyFormat::builder().style(KeyStyle::Compact);
    Redactor::new(&format.build().unwrap())
}

fn body(len: usize) -> String {
    BODY.chars().cycle().take(len).collect()
}

fn redacted(text: &str) -> String {
    redactor().redact(text).into_owned()
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn shows_the_id_of_every_shape_of_key() {
    let key = |len| format!("pm_live_{}", body(len));
    for (redactor, len, id) in [
        (redactor(), 61, 12),
        (redactor(), 67, 12),
        (redactor(), 32, 12),
        (redactor(), 60, 12),
        (redactor(), 90, 12),
        (both_styles(), 61, 12),
        (both_styles(), 67, 12),
        (both_styles(), 32, 8),
        (both_styles(), 60, 8),
        (compact_only(), 32, 8),
        (compact_only(), 61, 8),
    ] {
        let expected = format!("pm_live_{}[redacted]", body(id));
        assert_eq!(redactor.redact(&key(len)), expected, "{len}");
    }
}

#[test]
fn finds_keys_of_any_environment_and_of_no_other_prefix() {
    for environment in ["live", "test", "e", "a234567890123456"] {
        let key = format!("pm_{environment}_{BODY}");
        let expected = format!("pm_{environment}_0123456789AB[redacted]");
        assert_eq!(redacted(&key), expected);
    }
    for other in [
        "pn_live_",
        "pm_a2345678901234567_",
        "pm__",
        "pm_live",
        "PM_live_",
    ] {
        let text = format!("{other}{BODY}");
        assert_eq!(redacted(&text), text);
    }
}

#[test]
fn finds_keys_beside_each_other_and_glued_to_words() {
    let key = format!("pm_live_{BODY}");
    assert_eq!(redacted(&format!("{key}{key}")), SHOWN.repeat(2));
    assert_eq!(
        redacted(&format!("{key}_{key}")),
        format!("{SHOWN}_{SHOWN}")
    );
    assert_eq!(
        redacted(&format!("pm_live_{key}")),
        format!("pm_live_{SHOWN}")
    );
    assert_eq!(redacted(&format!("pm_pm_{key}")), format!("pm_pm_{SHOWN}"));
    assert_eq!(redacted(&format!("nkey{key}")), format!("nkey{SHOWN}"));
    assert_eq!(redacted(&format!("pm{key}é")), format!("pm{SHOWN}é"));
    let far = format!("pm_live_{}{key}", body(133));
    assert_eq!(redacted(&far), SHOWN.repeat(2));
    let prefix = Prefix::new("acme_acme").unwrap();
    let format = KeyFormat::builder().prefix(prefix).build().unwrap();
    let twice = format!("acme_acme_live_{BODY}").repeat(2);
    assert_eq!(
        Redactor::new(&format).redact(&twice),
        "acme_acme_live_0123456789AB[redacted]".repeat(2)
    );
}

#[test]
fn finds_a_key_behind_what_could_be_an_escape() {
    let prefix = Prefix::new("4app").unwrap();
    let format = KeyFormat::builder().prefix(prefix).build().unwrap();
    let (key, shown) = (
        format!("4app_live_{BODY}"),
        "4app_live_0123456789AB[redacted]",
    );
    let text = format!("%{key}%{key}%25{key}");
    let expected = format!("%{shown}%{shown}%25{shown}");
    assert_eq!(Redactor::new(&format).redact(&text), expected);
}

#[test]
fn finds_a_key_whose_environment_looks_like_a_body() {
    let key = format!("pm_staging000000001_{BODY}");
    let shown = "pm_staging000000001_0123456789AB[redacted]";
    for before in ["pm_n", "pm_live_pm_n", "%70m%5fn"] {
        assert_eq!(
            redacted(&format!("{before}{key}")),
            format!("{before}{shown}")
        );
    }
}

#[test]
fn finds_encoded_keys() {
    let key = format!("pm_live_{BODY}");
    let once = encode(&key);
    let shown = format!("{}[redacted]", encode("pm_live_0123456789AB"));
    assert_eq!(redacted(&once), shown);
    assert_eq!(
        redacted(&once.to_uppercase()),
        shown.to_uppercase().replace("REDACTED", "redacted")
    );
    for layers in 1..=3 {
        let text = (0..layers).fold(key.clone(), |text, _| encode(&text));
        assert!(redacted(&text).ends_with("[redacted]"), "{layers}");
    }
    assert_eq!(
        redacted(&format!("%2p%6D%5flive_{BODY}%20x")),
        "%2p%6D%5flive_0123456789AB[redacted]%20x"
    );
}

#[test]
fn takes_what_is_cut_off_or_mistyped_for_a_key() {
    assert_eq!(redacted("pm_live_0123456789ABC"), SHOWN);
    assert_eq!(
        redacted(&format!("pm_live_{}", "a".repeat(20))),
        "pm_live_aaaaaaaaaaaa[redacted]"
    );
    for at in 1..60 {
        let (before, after) = BODY.split_at(at);
        let (_, after_wrong) = BODY.split_at(at + 1);
        for text in [
            format!("{before}-{after}"),
            format!("{before}_{after_wrong}"),
            format!("{before}%2B{after_wrong}"),
        ] {
            let shown = redacted(&format!("<pm_live_{text}>"));
            assert!(shown.ends_with("[redacted]>"), "{at} {shown}");
            assert!(shown.len() <= SHOWN.len() + 2, "{at} {shown}");
        }
    }
}

#[test]
fn leaves_everything_else_alone() {
    for text in [
        "",
        "pm",
        "pm_",
        "pm_live_",
        "pm_live_0123456789AB",
        "pm_live_…a1B2",
        "pm_live_0123456789AB[redacted]",
        "pm_live_configuration",
        "pm_test_CONFIGURATION",
        "npm_config_registry",
        "rpm_limit_per_minute_and_address_and_owner_and_tenant",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "pm_live_6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "100% of %zz and %5",
    ] {
        assert!(
            matches!(redactor().redact(text), Cow::Borrowed(same) if same == text),
            "{text}"
        );
    }
}

fn publishing() -> [KeyFormat; 4] {
    let tags = TagPolicy::Required(TagRing::new(TagKey::new(&[3; 32]).unwrap()));
    [
        KeyFormat::builder(),
        KeyFormat::builder().tags(tags),
        KeyFormat::builder().style(KeyStyle::Compact),
        KeyFormat::builder().also_accept(KeyStyle::Compact),
    ]
    .map(|builder| builder.publishable().build().unwrap())
}

/// The key as text, and cut up by a writer.
fn both_ways(redactor: &Redactor, text: &str) -> [String; 2] {
    let mut log = Vec::new();
    let mut writer = redactor.writer(&mut log);
    for piece in text.as_bytes().chunks(7) {
        io::Write::write_all(&mut writer, piece).unwrap();
        io::Write::flush(&mut writer).unwrap();
    }
    drop(writer);
    [
        redactor.redact(text).into_owned(),
        String::from_utf8(log).unwrap(),
    ]
}

#[test]
fn leaves_publishable_keys_alone_in_every_environment() {
    for name in 1..=Environment::MAX_LEN {
        let environment = Environment::custom(&"e".repeat(name)).unwrap();
        for len in [61, 67] {
            let format = KeyFormat::builder().publishable();
            let format = format.environment(environment).build().unwrap();
            let key = format!("pm_pub_{environment}_{}", body(len));
            for text in [format!("<{key}>"), encode(&key), key] {
                let shown = both_ways(&Redactor::new(&format), &text);
                assert_eq!(shown, [text.as_str(); 2]);
            }
        }
    }
}

#[test]
fn leaves_publishable_keys_alone_and_redacts_the_secret_ones_beside_them() {
    for format in publishing() {
        let [secret, public] = [KeyKind::Secret, KeyKind::Publishable]
            .map(|kind| format.generate_kind(kind, &OsRandom::new()).unwrap());
        let [secret, public] = [&secret, &public].map(|key| key.plaintext().expose());
        let redactor = Redactor::new(&format);
        let shown = redactor.redact(secret).into_owned();
        assert!(shown.ends_with("[redacted]"));
        for (text, expected) in [
            (format!("{public} {secret}"), format!("{public} {shown}")),
            (format!("{secret} {public}"), format!("{shown} {public}")),
            (format!("{public}{secret}"), format!("{public}{shown}")),
            (format!("{secret}{public}"), format!("{shown}{public}")),
            (format!("pm_pub_{secret}"), format!("pm_pub_{shown}")),
            (
                format!("pm_pub_live_{secret}"),
                format!("pm_pub_live_{shown}"),
            ),
        ] {
            assert_eq!(both_ways(&redactor, &text), [expected.as_str(); 2]);
        }
    }
}

#[test]
fn takes_what_is_no_whole_publishable_key_for_what_it_took_it_before() {
    let format = KeyFormat::builder().publishable().build().unwrap();
    let (told, silent) = (Redactor::new(&format), redactor());
    for text in [
        format!("pm_pub_{BODY}"),
        format!("pm_pub_stage_{}", body(60)),
        format!("pm_pub_stage_{}", body(62)),
        format!("pm_pub_stage_{}-{}", body(30), body(30)),
        format!("pm_pubs_live_{BODY}"),
        format!("pm_PUB_stage_{BODY}"),
        format!("pm_live_{BODY}"),
    ] {
        assert_eq!(told.redact(&text), silent.redact(&text));
    }
    assert!(
        told.redact(&format!("pm_pub_{BODY}"))
            .ends_with("[redacted]")
    );
}

/// An environment of five or six letters makes the whole as long as a mistyped secret key.
#[test]
fn knows_no_publishable_keys_unless_told() {
    let told = KeyFormat::builder().publishable().build().unwrap();
    for environment in ["stage", "office"] {
        let key = format!("pm_pub_{environment}_{BODY}");
        assert_eq!(Redactor::new(&told).redact(&key), key);
        assert!(redacted(&key).ends_with("[redacted]"));
    }
}
