//! VACUUM.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::{StatementParser, unsupported, upper};
use crate::statement::ast::{StatementKind, Vacuum};
use pinsql_base::error::{Error, ErrorCode, Result};

impl StatementParser<'_> {
    /// `VACUUM name [FULL] [RETAIN n HOURS] [DRY RUN]`. The clauses may be in any order.
    pub(super) fn vacuum(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        let mut vacuum = Vacuum { table: self.name()?, retain_hours: None, dry_run: false };
        loop {
            let next = self.parser.peek_token();
            match upper(&next).as_str() {
                // FULL is the default: the folder of the table is listed.
                "FULL" => drop(self.parser.next_token()),
                "LITE" => return Err(unsupported("VACUUM … LITE", &next)),
                "RETAIN" if vacuum.retain_hours.is_none() => vacuum.retain_hours = Some(self.retention_hours()?),
                "DRY" if !vacuum.dry_run => {
                    self.parser.next_token();
                    self.keyword(Keyword::RUN)?;
                    vacuum.dry_run = true;
                }
                _ => return Ok(StatementKind::Vacuum(vacuum)),
            }
        }
    }

    /// `RETAIN 168 HOURS`
    fn retention_hours(&mut self) -> Result<f64> {
        self.parser.next_token();
        let number = self.parser.next_token();
        let hours = match &number.token {
            Token::Number(text, _) => text.parse::<f64>().ok().filter(|hours| hours.is_finite()),
            _ => None,
        };
        let unit = self.parser.peek_token();
        match (hours, upper(&unit).as_str()) {
            (Some(hours), "HOURS" | "HOUR") => {
                self.parser.next_token();
                Ok(hours)
            }
            _ => Err(Error::new(ErrorCode::ParseSyntaxError, "RETAIN takes a number of hours")
                .at(number.span)
                .with_hint("RETAIN 168 HOURS")),
        }
    }
}
