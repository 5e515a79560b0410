//! One cell: what makes it safe to open, and what makes it one cell.

use std::fmt::Write as _;

use crate::audit::event::escape;

/// Appends a text: escaped as between the quotes of a JSON string, disarmed, and quoted.
pub(super) fn push_text(record: &mut String, text: &str) {
    push_quoted(record, is_armed(text), &escape(text));
}

/// Appends JSON, which is escaped already and begins with a bracket.
pub(super) fn push_json(record: &mut String, json: &str) {
    push_quoted(record, false, json);
}

/// Appends a number.
pub(super) fn push_number(record: &mut String, number: u64) {
    // Writing to a string cannot fail.
    let _ = write!(record, "{number}");
}

fn push_quoted(record: &mut String, armed: bool, text: &str) {
    record.push('"');
    if armed {
        record.push('\'');
    }
    for (nth, part) in text.split('"').enumerate() {
        if nth > 0 {
            record.push_str("\"\"");
        }
        record.push_str(part);
    }
    record.push('"');
}

/// Says whether a spreadsheet might take the text for a formula, or whether it looks as if it had been disarmed: the
/// apostrophe that is put before both can then always be taken away again.
fn is_armed(text: &str) -> bool {
    if text.starts_with(['\'', '\t', '\r', '\n']) {
        return true;
    }
    text.trim_start_matches(is_blank)
        .starts_with(begins_formula)
}

/// Blanks, and what shows as nothing: programs that open a table may drop them.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control() || is_ignorable(c)
}

/// Unicode's `Default_Ignorable_Code_Point`, with the accents that need a letter before them and the empty Braille pattern.
const fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{fffe}' | '\u{ffff}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The characters that OWASP's page on CSV injection names, and their full-width and small forms.
const fn begins_formula(c: char) -> bool {
    matches!(
        c,
        '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠' | '﹦' | '﹢' | '﹣' | '﹫'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> String {
        let mut cell = String::new();
        push_text(&mut cell, text);
        cell
    }

    #[test]
    fn disarms_what_a_spreadsheet_would_compute() {
        for sign in [
            "=", "+", "-", "@", "＝", "＋", "－", "＠", "﹦", "﹢", "﹣", "﹫",
        ] {
            let text = format!("{sign}cmd|' /C calc'!A0");
            assert_eq!(cell(&text), format!("\"'{text}\""));
        }
    }

    #[test]
    fn disarms_behind_blanks_and_what_shows_as_nothing() {
        for blank in [
            " ",
            "  ",
            "\u{a0}",
            "\u{3000}",
            "\u{200b}",
            "\u{feff}",
            "\u{3164}",
            "\u{115f}",
            "\u{2800}",
            "\u{fe0f}",
            "\u{e0001}",
            "\u{301}",
            "\u{fffe}",
        ] {
            assert_eq!(cell(&format!("{blank}=1")), format!("\"'{blank}=1\""));
        }
        for (blank, escaped) in [("\t", r"\t"), ("\u{b}", r"\u000b"), ("\u{202e}", r"\u202e")] {
            assert_eq!(cell(&format!("{blank}=1")), format!("\"'{escaped}=1\""));
        }
    }

    #[test]
    fn disarms_a_leading_tab_or_line_end() {
        assert_eq!(cell("\tx"), r#""'\tx""#);
        assert_eq!(cell("\rx"), r#""'\rx""#);
        assert_eq!(cell("\nx"), r#""'\nx""#);
    }

    #[test]
    fn marks_a_leading_apostrophe_so_that_the_mark_can_be_taken_away() {
        assert_eq!(cell("'=1"), "\"''=1\"");
    }

    #[test]
    fn leaves_signs_within_a_text_alone() {
        assert_eq!(cell("a=1+2-3@x"), "\"a=1+2-3@x\"");
        assert_eq!(cell("  a=1"), "\"  a=1\"");
        assert_eq!(cell(""), "\"\"");
    }

    #[test]
    fn doubles_quotes_and_keeps_commas_within() {
        assert_eq!(cell(r#"a",b"#), r#""a\"",b""#);
    }
}
