//! DROP and UNDROP.

use sqlparser::keywords::Keyword;

use super::{StatementParser, unsupported, upper};
use crate::statement::ast::StatementKind;
use pinsql_base::error::Result;

impl StatementParser<'_> {
    pub(super) fn drop(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        let what = self.parser.next_token();
        let kind = upper(&what);
        match kind.as_str() {
            "FUNCTION" => return self.drop_function(false),
            "TEMP" | "TEMPORARY" => {
                let what = self.parser.next_token();
                return match upper(&what).as_str() {
                    "FUNCTION" => self.drop_function(true),
                    "VARIABLE" => self.drop_variable(),
                    other => Err(unsupported(&format!("DROP TEMPORARY {other}"), &what)),
                };
            }
            _ => {}
        }
        if !matches!(kind.as_str(), "TABLE" | "SINK" | "VIEW" | "SCHEMA" | "DATABASE") {
            return Err(unsupported(&format!("DROP {kind}"), &what));
        }
        let if_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
        let name = self.name()?;
        Ok(match kind.as_str() {
            "TABLE" => StatementKind::DropTable { name, if_exists, purge: self.parser.parse_keyword(Keyword::PURGE) },
            "SINK" => StatementKind::DropSink { name, if_exists },
            "VIEW" => StatementKind::DropView { name, if_exists },
            _ => {
                // RESTRICT is the default.
                self.optional(Keyword::RESTRICT);
                self.refuse_clause("DROP SCHEMA", &["CASCADE"])?;
                StatementKind::DropSchema { name, if_exists }
            }
        })
    }

    pub(super) fn undrop(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        let what = self.parser.next_token();
        match upper(&what).as_str() {
            "TABLE" => Ok(StatementKind::UndropTable { name: self.name()? }),
            other => Err(unsupported(&format!("UNDROP {other}"), &what)),
        }
    }
}
