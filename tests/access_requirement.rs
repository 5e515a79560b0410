//! The text form of requirements: what it accepts, what it refuses, and where it says the error is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that fails should stop the test at once"
)]

use keyward::access::{
    AccessPolicy, Decision, DenyReason, Grant, NameError, Permission, Requirement,
    RequirementParseError as Error, Scope, Subject, Target, TenantBinding,
};
use keyward::key::KeyKind;

fn parse(text: &str) -> Requirement {
    text.parse().expect(text)
}

fn refusal(text: &str) -> Error {
    text.parse::<Requirement>().expect_err(text)
}

fn one(name: &str) -> Requirement {
    Requirement::permission(name.parse().unwrap())
}

/// Asks a key that holds just these scopes, for an operation of no tenant.
fn ask(scopes: &[&str], requirement: &Requirement) -> Decision {
    let grant = Grant::Scopes(
        scopes
            .iter()
            .map(|&text| Scope::from_stored(text))
            .collect(),
    );
    let subject = Subject::new(&grant, &[], &TenantBinding::None, KeyKind::Secret);
    AccessPolicy::default().evaluate(&subject, requirement, &Target::Service)
}

#[test]
fn l14_reads_one_permission() {
    assert_eq!(parse("api.key1.read_key"), one("api.key1.read_key"));
    assert_eq!(parse("  (( a ))\n"), one("a"));
}

#[test]
fn l14_and_binds_tighter_than_or() {
    let expected = Requirement::any([one("a"), Requirement::all([one("b"), one("c")])]);
    assert_eq!(parse("a OR b AND c"), expected);
    let expected = Requirement::any([Requirement::all([one("a"), one("b")]), one("c")]);
    assert_eq!(parse("a AND b OR c"), expected);
}

#[test]
fn l14_parentheses_bind_tightest() {
    let either = Requirement::any([one("perm1"), one("perm2")]);
    let expected = Requirement::all([either, one("perm3")]);
    assert_eq!(parse("(perm1 OR perm2) AND perm3"), expected);
}

#[test]
fn l14_operators_are_whole_words_in_any_case() {
    let expected = Requirement::all([one("a"), one("b")]);
    for text in ["a AND b", "a and b", "a aNd b", "(a)AND(b)"] {
        assert_eq!(parse(text), expected, "{text}");
    }
    assert_eq!(parse("android"), one("android"));
    assert_eq!(parse("order:and"), one("order:and"));
}

#[test]
fn l14_blanks_are_spaces_tabs_and_line_ends() {
    let expected = Requirement::all([one("a"), one("b")]);
    for text in ["a\tAND\tb", "a\nAND\nb", "a\r\nAND\r\nb", "  a    AND  b  "] {
        assert_eq!(parse(text), expected, "{text:?}");
    }
    for blank in ['\u{a0}', '\u{b}', '\u{c}', '\0', '\u{2028}', '\u{feff}'] {
        let text = format!("a{blank}AND b");
        let error = Error::UnexpectedCharacter {
            character: blank,
            position: 1,
        };
        assert_eq!(refusal(&text), error, "{text:?}");
    }
}

#[test]
fn l14_names_the_character_that_no_permission_has() {
    let unexpected = |character, position| Error::UnexpectedCharacter {
        character,
        position,
    };
    for (text, error) in [
        ("perm1 @ perm2", unexpected('@', 6)),
        ("api.key1$ AND perm2", unexpected('$', 8)),
        ("api/v1.read_key", unexpected('/', 3)),
        ("a AND Read", unexpected('R', 6)),
        ("a AND _b", unexpected('_', 6)),
        ("a OR b\u{e9}", unexpected('\u{e9}', 6)),
        ("a && b", unexpected('&', 2)),
        ("(a b$)", unexpected('$', 4)),
    ] {
        assert_eq!(refusal(text), error, "{text}");
    }
}

#[test]
fn l14_refuses_wildcards_because_a_requirement_is_concrete() {
    for (text, position) in [
        ("api.*.*.read", 4),
        ("leads:*", 6),
        ("api.*", 4),
        ("*", 0),
        ("a AND api_v2-test:*", 18),
    ] {
        let error = Error::UnexpectedCharacter {
            character: '*',
            position,
        };
        assert_eq!(refusal(text), error, "{text}");
    }
}

#[test]
fn l14_refuses_a_word_that_is_no_permission_and_says_where_it_begins() {
    let long = format!("a AND {}", "b".repeat(129));
    let too_long = NameError::TooLong { max: 128 };
    assert_eq!(
        refusal(&long),
        Error::InvalidPermission {
            position: 6,
            source: too_long
        }
    );
    let empty = NameError::EmptySegment { at: 2 };
    assert_eq!(
        refusal("x OR a:"),
        Error::InvalidPermission {
            position: 5,
            source: empty
        }
    );
}

#[test]
fn l14_refuses_a_missing_operand() {
    assert_eq!(refusal("perm1 AND"), Error::UnexpectedEnd { position: 9 });
    assert_eq!(refusal("perm1 AND "), Error::UnexpectedEnd { position: 10 });
    assert_eq!(refusal("("), Error::UnexpectedEnd { position: 1 });
    assert_eq!(
        refusal("AND perm1"),
        Error::ExpectedPermission { position: 0 }
    );
    assert_eq!(
        refusal("a OR OR b"),
        Error::ExpectedPermission { position: 5 }
    );
    assert_eq!(
        refusal("(a AND) b"),
        Error::ExpectedPermission { position: 6 }
    );
    assert_eq!(refusal("and"), Error::ExpectedPermission { position: 0 });
}

#[test]
fn l14_refuses_a_missing_operator() {
    assert_eq!(
        refusal("perm1 perm2"),
        Error::ExpectedOperator { position: 6 }
    );
    assert_eq!(
        refusal("perm1(perm2)"),
        Error::ExpectedOperator { position: 5 }
    );
    assert_eq!(refusal("(a)(b)"), Error::ExpectedOperator { position: 3 });
    assert_eq!(refusal("(a b)"), Error::ExpectedOperator { position: 3 });
}

#[test]
fn l14_refuses_parentheses_that_do_not_match() {
    assert_eq!(
        refusal("permission_1 AND ()"),
        Error::EmptyParentheses { position: 18 }
    );
    assert_eq!(
        refusal("a AND (b OR c"),
        Error::UnclosedParenthesis { position: 6 }
    );
    assert_eq!(
        refusal("a AND b)"),
        Error::UnopenedParenthesis { position: 7 }
    );
    assert_eq!(refusal(")"), Error::ExpectedPermission { position: 0 });
}

#[test]
fn l13_refuses_a_text_that_asks_for_nothing() {
    for text in ["", " ", "\t\r\n"] {
        assert_eq!(refusal(text), Error::Empty, "{text:?}");
    }
}

#[test]
fn l14_takes_1000_characters_and_refuses_1001_unread() {
    let longest = format!("a{}", " ".repeat(999));
    assert_eq!(parse(&longest), one("a"));
    let longer = format!("@{}", " ".repeat(1000));
    assert_eq!(refusal(&longer), Error::TooLong { max: 1000 });
    let wide = "\u{e9}".repeat(1000);
    assert_eq!(refusal(&wide).position(), 0);
    assert_ne!(refusal(&wide), Error::TooLong { max: 1000 });
}

#[test]
fn l14_takes_32_nested_parentheses_and_refuses_33() {
    let nested = |count: usize| format!("{}a{}", "(".repeat(count), ")".repeat(count));
    assert_eq!(parse(&nested(32)), one("a"));
    assert_eq!(refusal(&nested(33)), Error::TooDeep { position: 32 });
    assert_eq!(refusal(&"(".repeat(1000)), Error::TooDeep { position: 32 });
}

#[test]
fn l14_parentheses_side_by_side_do_not_add_up() {
    let wide = vec!["(a)"; 100].join(" OR ");
    assert!(ask(&["a"], &parse(&wide)).is_allowed());
}

#[test]
fn l14_the_deepest_text_means_what_it_says() {
    let open = "a OR b AND (".repeat(32);
    let text = format!("{open}a OR b AND c{}", ")".repeat(32));
    let deepest = parse(&text);
    assert!(ask(&["b", "c"], &deepest).is_allowed());
    assert!(!ask(&["b"], &deepest).is_allowed());
    assert_eq!(parse(&deepest.to_string()), deepest);
}

#[test]
fn l13_groups_nested_too_deep_by_code_are_denied_and_harmless() {
    let mut deep = one("a");
    for _ in 0..10_000 {
        deep = Requirement::any([one("b"), Requirement::all([one("a"), deep])]);
    }
    assert!(!ask(&["a"], &deep).is_allowed());
    drop(deep);
}

#[test]
fn l13_groups_are_held_up_to_66_levels() {
    let mut all = one("a");
    for _ in 0..33 {
        all = Requirement::all([one("a"), Requirement::any([one("b"), all])]);
    }
    assert!(ask(&["a", "b"], &all).is_allowed());
    all = Requirement::any([one("b"), all]);
    assert_eq!(
        ask(&["a", "b"], &all),
        Decision::Denied(DenyReason::RequirementTooDeep)
    );
}

#[test]
fn l13_a_group_of_nothing_is_denied() {
    let nothing: [Permission; 0] = [];
    for empty in [Requirement::any(nothing.clone()), Requirement::all(nothing)] {
        let reason = DenyReason::EmptyRequirement;
        assert_eq!(ask(&["a"], &empty), Decision::Denied(reason));
        assert!(empty.to_string().parse::<Requirement>().is_err());
        let with_nothing = Requirement::all([one("a"), empty.clone()]);
        assert!(!ask(&["a"], &with_nothing).is_allowed());
        let or_nothing = Requirement::any([empty, one("a")]);
        assert!(ask(&["a"], &or_nothing).is_allowed());
        assert!(!ask(&["b"], &or_nothing).is_allowed());
    }
}

#[test]
fn l13_equal_meaning_is_equal_form() {
    assert_eq!(Requirement::any([one("a")]), one("a"));
    assert_eq!(Requirement::all([Requirement::any([one("a")])]), one("a"));
    let nested = Requirement::any([Requirement::any([one("a"), one("b")]), one("c")]);
    assert_eq!(nested, Requirement::any([one("a"), one("b"), one("c")]));
    assert_ne!(parse("a AND b"), parse("a OR b"));
}

#[test]
fn l13_any_needs_one_and_all_needs_every_one() {
    assert!(ask(&["read", "write"], &parse("delete OR write")).is_allowed());
    assert!(!ask(&["read"], &parse("delete OR write")).is_allowed());
    assert!(ask(&["read", "write"], &parse("read AND write")).is_allowed());
    assert!(!ask(&["read"], &parse("read AND write")).is_allowed());
}

#[test]
fn l13_the_reason_names_what_is_missing() {
    let missing =
        |name: &str| Decision::Denied(DenyReason::MissingPermission(name.parse().unwrap()));
    let key = ["api.key1.read_key"];
    let both = parse("api.key1.read_key AND api.key1.delete_key");
    assert_eq!(ask(&key, &both), missing("api.key1.delete_key"));
    assert_eq!(
        ask(&key, &parse("api.api2.read_api")),
        missing("api.api2.read_api")
    );
    assert_eq!(ask(&[], &parse("a OR b")), missing("a"));
    assert_eq!(ask(&["x"], &parse("(a OR x) AND (b OR c)")), missing("b"));
}

#[test]
fn l1_a_key_without_permissions_is_denied_any_requirement() {
    for text in ["a", "a OR b", "a AND b", "a AND (b OR c)"] {
        let decision = ask(&[], &parse(text));
        assert_eq!(
            decision.reason().map(DenyReason::code),
            Some("missing_permission")
        );
    }
}

#[test]
fn l7_a_star_inside_a_granted_name_matches_nothing() {
    assert!(!ask(&["api.*.read_key"], &parse("api.key_123.read_key")).is_allowed());
    assert!(!ask(&["api.*", "*"], &parse("api.read")).is_allowed());
    let key = ["system:admin:read", "user:basic:read"];
    assert!(!ask(&key, &parse("system:admin:write")).is_allowed());
}
