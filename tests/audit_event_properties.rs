//! What holds for any text in an event.

use keyward::audit::{AuditEvent, AuditKind};
use keyward::time::Timestamp;
use proptest::prelude::{Strategy, any, proptest};
use proptest::{prop_assert, prop_assert_eq};

fn event(time: i64) -> AuditEvent {
    AuditEvent::new(
        AuditKind::AuthenticationFailed,
        Timestamp::from_micros(time),
    )
}

/// Any characters, also those that a regular expression's dot leaves out.
fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 0..400).prop_map(String::from_iter)
}

fn leaves_the_line(c: char) -> bool {
    c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c)
}

proptest! {
    #[test]
    fn an_event_is_one_line_and_comes_back(time: i64, a in text(), b in text()) {
        let event = event(time)
            .with_user_agent(&a)
            .with_owner(b.as_str())
            .with_detail(a.as_str(), b.as_str());
        let line = event.to_line().unwrap();
        prop_assert!(!line.contains(leaves_the_line));
        prop_assert_eq!(serde_json::from_str::<AuditEvent>(&line).unwrap(), event);
    }

    #[test]
    fn a_text_is_its_own_beginning_and_bounded(text in text()) {
        let event = event(0).with_user_agent(&text);
        let kept = event.user_agent().unwrap();
        prop_assert!(kept.len() <= 256);
        if text.len() <= 256 {
            prop_assert_eq!(kept, text);
        } else {
            prop_assert!(text.starts_with(kept.strip_suffix('…').unwrap()));
            prop_assert!(kept.len() > 252);
        }
    }

    #[test]
    fn a_bounded_text_is_not_cut_again(text in text()) {
        let once = event(0).with_owner(text);
        let twice = once.clone().with_owner(once.owner().unwrap());
        prop_assert_eq!(once, twice);
    }
}
