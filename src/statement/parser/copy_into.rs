//! COPY INTO, with Databricks' clauses
//! (<https://docs.databricks.com/en/sql/language-manual/delta-copy-into.html>).

use sqlparser::ast::{Expr, Ident};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{StatementParser, upper};
use crate::statement::ast::{CopyColumns, CopyInto, StatementKind, Validate};
use pinsql_base::error::{Error, ErrorCode, Result, Span, nearest};

/// Databricks' limit for the list of FILES.
const FILES_MAX: usize = 1_000;

impl StatementParser<'_> {
    /// Parses the statement, starting at COPY.
    pub(super) fn copy_into(&mut self) -> Result<StatementKind> {
        self.parser.next_token();
        self.keyword(Keyword::INTO)?;
        let table = self.name()?;
        let columns = self.copy_columns()?;
        self.keyword(Keyword::FROM)?;
        let (path, select) = self.copy_source()?;
        self.word("FILEFORMAT")?;
        self.expect(&Token::Eq)?;
        let format = self.identifier()?;
        let mut copy = CopyInto {
            table,
            columns,
            path,
            select,
            format_span: Span::from(format.span),
            format: file_format(&format)?,
            validate: None,
            files: Vec::new(),
            pattern: None,
            format_options: Vec::new(),
            merge_schema: false,
            force: false,
        };
        while self.copy_clause(&mut copy)? {}
        Ok(StatementKind::CopyInto(Box::new(copy)))
    }

    /// `BY POSITION` or `(column, …)`
    fn copy_columns(&mut self) -> Result<CopyColumns> {
        if self.parser.parse_keyword(Keyword::BY) {
            self.word("POSITION")?;
            return Ok(CopyColumns::ByPosition);
        }
        if !self.parser.consume_token(&Token::LParen) {
            return Ok(CopyColumns::ByName);
        }
        let columns = self.comma_separated(Self::identifier)?;
        self.expect(&Token::RParen)?;
        Ok(CopyColumns::Listed(columns))
    }

    /// `'path'`, or `(SELECT expressions FROM 'path')`
    fn copy_source(&mut self) -> Result<(Expr, Option<Vec<sqlparser::ast::SelectItem>>)> {
        let is_select =
            self.parser.peek_token().token == Token::LParen && upper(&self.parser.peek_nth_token(1)) == "SELECT";
        let mut select = None;
        if is_select {
            self.expect(&Token::LParen)?;
            self.keyword(Keyword::SELECT)?;
            let next = self.parser.peek_token();
            if matches!(upper(&next).as_str(), "DISTINCT" | "ALL") {
                let said = format!("SELECT {} in COPY INTO is not supported", upper(&next));
                return Err(Error::new(ErrorCode::UnsupportedFeature, said).at(next.span));
            }
            select = Some(self.parser.parse_projection().map_err(|error| self.located(error))?);
            self.keyword(Keyword::FROM)?;
        }
        let path = self.parser.parse_expr().map_err(|error| self.located(error))?;
        let next = self.parser.peek_token();
        if upper(&next) == "WITH" {
            return Err(Error::new(ErrorCode::UnsupportedFeature, "WITH (CREDENTIAL …) is not supported")
                .at(next.span)
                .with_hint("credentials are those of the environment and of AWS profiles, and are never in SQL"));
        }
        if is_select {
            if self.parser.peek_token().token != Token::RParen {
                return Err(Error::new(ErrorCode::ParseSyntaxError, format!("expected `)`, found `{}`", next.token))
                    .at(next.span)
                    .with_hint("the SELECT of a COPY INTO has expressions and FROM 'path', and nothing else"));
            }
            self.expect(&Token::RParen)?;
        }
        Ok((path, select))
    }

    fn copy_clause(&mut self, copy: &mut CopyInto) -> Result<bool> {
        let clause = self.parser.peek_token();
        let word = upper(&clause);
        let is_given = match word.as_str() {
            "VALIDATE" => copy.validate.is_some(),
            "FILES" => !copy.files.is_empty(),
            "PATTERN" => copy.pattern.is_some(),
            "FORMAT_OPTIONS" => !copy.format_options.is_empty(),
            "COPY_OPTIONS" => copy.force || copy.merge_schema,
            _ => return Ok(false),
        };
        if is_given {
            return Err(
                Error::new(ErrorCode::ConflictingClauses, format!("the clause {word} is given twice")).at(clause.span)
            );
        }
        self.parser.next_token();
        match word.as_str() {
            "VALIDATE" => copy.validate = Some(self.validate()?),
            "FILES" => copy.files = self.files()?,
            "PATTERN" => {
                self.expect(&Token::Eq)?;
                copy.pattern = Some(self.literal()?);
            }
            "FORMAT_OPTIONS" => copy.format_options = self.properties()?,
            _ => self.copy_options(copy, &clause)?,
        }
        match copy.pattern.is_some() && !copy.files.is_empty() {
            true => {
                Err(Error::new(ErrorCode::ConflictingClauses, "FILES and PATTERN exclude each other").at(clause.span))
            }
            false => Ok(true),
        }
    }

    /// `VALIDATE [ALL | n ROWS]`
    fn validate(&mut self) -> Result<Validate> {
        let next = self.parser.peek_token();
        match &next.token {
            Token::Number(text, _) => {
                self.parser.next_token();
                let rows = text.parse().ok().filter(|rows| *rows > 0);
                let rows = rows.ok_or_else(|| {
                    Error::new(ErrorCode::ParseSyntaxError, "expected a number of rows above 0").at(next.span)
                })?;
                self.word("ROWS")?;
                Ok(Validate::Rows(rows))
            }
            _ => {
                self.optional(Keyword::ALL);
                Ok(Validate::All)
            }
        }
    }

    /// `FILES = ('name', …)`
    fn files(&mut self) -> Result<Vec<String>> {
        self.expect(&Token::Eq)?;
        let open = self.parser.peek_token();
        self.expect(&Token::LParen)?;
        let files = self.comma_separated(Self::literal)?;
        self.expect(&Token::RParen)?;
        match files.len() > FILES_MAX {
            true => Err(Error::new(
                ErrorCode::InvalidOption,
                format!("FILES has {} names, and may have {FILES_MAX}", files.len()),
            )
            .at(open.span)
            .with_hint("PATTERN = '…' names more")),
            false => Ok(files),
        }
    }

    fn copy_options(&mut self, copy: &mut CopyInto, clause: &TokenWithSpan) -> Result<()> {
        for (name, value) in self.properties()? {
            let is_true = match value.to_lowercase().as_str() {
                "true" => true,
                "false" => false,
                _ => {
                    let said = format!("the option {name} of COPY_OPTIONS is '{value}', but must be true or false");
                    return Err(Error::new(ErrorCode::InvalidOption, said).at(clause.span));
                }
            };
            match name.to_lowercase().as_str() {
                "force" => copy.force = is_true,
                "mergeschema" => copy.merge_schema = is_true,
                _ => {
                    return Err(Error::new(ErrorCode::UnknownOption, format!("COPY_OPTIONS has no option {name}"))
                        .at(clause.span)
                        .with_hint("it has force and mergeSchema; options of the reader go into FORMAT_OPTIONS"));
                }
            }
        }
        Ok(())
    }
}

/// The format in lower case. Formats that only Databricks has are UNSUPPORTED_FEATURE, others UNKNOWN_FILE_FORMAT.
fn file_format(written: &Ident) -> Result<&'static str> {
    const FORMATS: [&str; 3] = ["json", "csv", "parquet"];
    const OF_DATABRICKS: [&str; 5] = ["AVRO", "ORC", "TEXT", "BINARYFILE", "XML"];
    if let Some(format) = FORMATS.into_iter().find(|format| format.eq_ignore_ascii_case(&written.value)) {
        return Ok(format);
    }
    let name = written.value.to_uppercase();
    let error = match OF_DATABRICKS.contains(&name.as_str()) {
        true => Error::new(ErrorCode::UnsupportedFeature, format!("FILEFORMAT = {name} is not supported")),
        false => Error::new(ErrorCode::UnknownFileFormat, format!("there is no file format {name}")),
    };
    let hint = match nearest(&name, FORMATS) {
        Some(near) => format!("did you mean {}?", near.to_uppercase()),
        None => "JSON, CSV and PARQUET are read".to_owned(),
    };
    Err(error.at(written.span).with_hint(hint))
}
