//! Reads the text form of a requirement. Every error says where.

use std::str::FromStr;

use super::lex::{Kind, Lexer, Token};
use super::{Combine, Node, Requirement, group};
use crate::access::name::NameError;
use crate::access::permission::Permission;

impl FromStr for Requirement {
    type Err = RequirementParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.chars().nth(Self::MAX_CHARS).is_some() {
            return Err(RequirementParseError::TooLong {
                max: Self::MAX_CHARS,
            });
        }
        Parser::new(text).whole().map(Self)
    }
}

impl TryFrom<&str> for Requirement {
    type Error = RequirementParseError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Recursive descent over `any = all ("OR" all)*`, `all = operand ("AND" operand)*`, `operand = word | "(" any ")"`.
struct Parser<'a> {
    lexer: Lexer<'a>,
    ahead: Token<'a>,
    nesting: usize,
}

type Parsed = Result<Node, RequirementParseError>;

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        let mut lexer = Lexer::new(text);
        let ahead = lexer.next();
        Self {
            lexer,
            ahead,
            nesting: 0,
        }
    }

    fn whole(mut self) -> Parsed {
        if self.ahead.kind == Kind::End {
            return Err(RequirementParseError::Empty);
        }
        let node = self.any()?;
        let position = self.ahead.at;
        match self.ahead.kind {
            Kind::End => Ok(node),
            Kind::Close => Err(RequirementParseError::UnopenedParenthesis { position }),
            _ => Err(no_operator(self.ahead)),
        }
    }

    fn any(&mut self) -> Parsed {
        let mut parts = vec![self.all()?];
        while self.ahead.kind == Kind::Or {
            self.advance();
            parts.push(self.all()?);
        }
        Ok(group(Combine::Any, parts.into_iter()))
    }

    fn all(&mut self) -> Parsed {
        let mut parts = vec![self.operand()?];
        while self.ahead.kind == Kind::And {
            self.advance();
            parts.push(self.operand()?);
        }
        Ok(group(Combine::All, parts.into_iter()))
    }

    fn operand(&mut self) -> Parsed {
        let token = self.advance();
        let position = token.at;
        match token.kind {
            Kind::Word(word) => read_permission(word, position),
            Kind::Open => self.parenthesised(position),
            Kind::End => Err(RequirementParseError::UnexpectedEnd { position }),
            Kind::And | Kind::Or | Kind::Close => {
                Err(RequirementParseError::ExpectedPermission { position })
            }
        }
    }

    fn parenthesised(&mut self, open: usize) -> Parsed {
        if self.nesting == Requirement::MAX_NESTING {
            return Err(RequirementParseError::TooDeep { position: open });
        }
        if self.ahead.kind == Kind::Close {
            return Err(RequirementParseError::EmptyParentheses {
                position: self.ahead.at,
            });
        }
        self.nesting += 1;
        let node = self.any()?;
        self.nesting -= 1;
        let token = self.advance();
        match token.kind {
            Kind::Close => Ok(node),
            Kind::End => Err(RequirementParseError::UnclosedParenthesis { position: open }),
            _ => Err(no_operator(token)),
        }
    }

    fn advance(&mut self) -> Token<'a> {
        std::mem::replace(&mut self.ahead, self.lexer.next())
    }
}

/// Finds fault with the word itself first: in `a && b` the operator is wrong rather than missing.
fn no_operator(token: Token<'_>) -> RequirementParseError {
    let position = token.at;
    if let Kind::Word(word) = token.kind
        && let Err(error) = read_permission(word, position)
    {
        return error;
    }
    RequirementParseError::ExpectedOperator { position }
}

fn read_permission(word: &str, position: usize) -> Parsed {
    let read: Result<Permission, NameError> = word.parse();
    read.map(Node::Permission)
        .map_err(|error| word_error(word, position, error))
}

fn word_error(word: &str, position: usize, error: NameError) -> RequirementParseError {
    let (NameError::BadCharacter { at } | NameError::Wildcard { at }) = error else {
        return RequirementParseError::InvalidPermission {
            position,
            source: error,
        };
    };
    // The bytes before a refused character are ASCII, so it stands at that character as well.
    let character = word.chars().nth(at).unwrap_or(char::REPLACEMENT_CHARACTER);
    RequirementParseError::UnexpectedCharacter {
        character,
        position: position + at,
    }
}

/// Why a text is no requirement. Positions are in bytes from 0.
///
/// ```
/// use keyward::access::{Requirement, RequirementParseError};
///
/// let error = "perm1 @ perm2".parse::<Requirement>().unwrap_err();
/// assert_eq!(error.position(), 6);
/// assert_eq!(error.to_string(), "unexpected character '@' at position 6");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequirementParseError {
    /// The text is longer than a requirement may be; it was not looked at.
    #[error("requirement is longer than {max} characters")]
    TooLong {
        /// The most characters allowed.
        max: usize,
    },
    /// The text is empty or blank.
    #[error("requirement is empty")]
    Empty,
    /// A character that no permission has, a wildcard included, or that cannot begin a segment.
    #[error("unexpected character {character:?} at position {position}")]
    UnexpectedCharacter {
        /// The character.
        character: char,
        /// Where it stands.
        position: usize,
    },
    /// A word that is no permission for another reason.
    #[error("invalid permission at position {position}")]
    InvalidPermission {
        /// Where the word begins.
        position: usize,
        /// What is wrong with it; its positions count from the beginning of the word.
        source: NameError,
    },
    /// An operator or a closing parenthesis stands where a permission was due.
    #[error("expected a permission at position {position}")]
    ExpectedPermission {
        /// Where it was due.
        position: usize,
    },
    /// The text ends where a permission was due.
    #[error("requirement ends at position {position} where a permission was due")]
    UnexpectedEnd {
        /// Where the text ends.
        position: usize,
    },
    /// Two operands stand side by side.
    #[error("expected AND or OR at position {position}")]
    ExpectedOperator {
        /// Where the second begins.
        position: usize,
    },
    /// There is nothing between two parentheses.
    #[error("empty parentheses at position {position}")]
    EmptyParentheses {
        /// Where they close.
        position: usize,
    },
    /// A parenthesis is never closed.
    #[error("parenthesis at position {position} is not closed")]
    UnclosedParenthesis {
        /// Where it opens.
        position: usize,
    },
    /// A parenthesis closes that was never opened.
    #[error("parenthesis at position {position} was not opened")]
    UnopenedParenthesis {
        /// Where it closes.
        position: usize,
    },
    /// Too many parentheses one inside the other.
    #[error("parentheses at position {position} are nested too deep")]
    TooDeep {
        /// Where the first too many opens.
        position: usize,
    },
}

impl RequirementParseError {
    /// Returns where in the text the error is, in bytes from 0; for a text too long or empty, its beginning.
    #[must_use]
    pub fn position(&self) -> usize {
        match self {
            Self::TooLong { .. } | Self::Empty => 0,
            Self::UnexpectedCharacter { position, .. }
            | Self::InvalidPermission { position, .. }
            | Self::ExpectedPermission { position }
            | Self::UnexpectedEnd { position }
            | Self::ExpectedOperator { position }
            | Self::EmptyParentheses { position }
            | Self::UnclosedParenthesis { position }
            | Self::UnopenedParenthesis { position }
            | Self::TooDeep { position } => *position,
        }
    }
}
