//! SET for the settings of Spark that pinsql has.

use sqlparser::tokenizer::Token;

use super::{StatementParser, upper};
use crate::statement::ast::StatementKind;
use crate::statement::set::SETTINGS;
use pinsql_base::error::{Error, ErrorCode, Result, nearest};

impl StatementParser<'_> {
    /// `key [= true | false]` after SET. The key has dots; the name of a variable has none.
    pub(super) fn setting(&mut self) -> Result<StatementKind> {
        let name = self.name()?;
        let key = name.parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".");
        if !SETTINGS.contains(&key.as_str()) {
            let error = Error::new(ErrorCode::UnknownOption, format!("there is no setting {key}")).at(name.span);
            return Err(match nearest(&key, SETTINGS) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error.with_hint(format!("the settings are {}", SETTINGS.join(", "))),
            });
        }
        if !self.parser.consume_token(&Token::Eq) {
            return Ok(StatementKind::Set { key, value: None });
        }
        let value = self.parser.next_token();
        let value = match upper(&value).as_str() {
            "TRUE" => true,
            "FALSE" => false,
            _ => return Err(Error::new(ErrorCode::InvalidOption, format!("{key} is true or false")).at(value.span)),
        };
        Ok(StatementKind::Set { key, value: Some(value) })
    }
}
