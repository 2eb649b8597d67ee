//! Follows a path through JSON text, as Spark's `GetJsonObject.evaluatePath`.

use super::writer::Writer;
use super::{Ambiguous, Step, WriteDouble};
use crate::cursor::Cursor;
use crate::error::RecordError;

/// How a result is written: Spark's `WriteStyle`.
///
/// Raw: a single string has no quotes. After a `[*]` of `get_json_object` the style is Quoted, and an array of one element is
/// written as that element. Two `[*]` in a row write the elements of all arrays into one (Flatten). After a `[*]` of the
/// operator the result is always an array, with `null` for an element without a value, as in Databricks' documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Raw,
    Quoted,
    Flatten,
}

pub(super) enum Failure {
    /// The text is not JSON. The reason is not needed.
    Broken,
    Ambiguous(Ambiguous),
}

impl From<RecordError> for Failure {
    fn from(_: RecordError) -> Self {
        Self::Broken
    }
}

/// The arguments that are the same at all levels.
pub(super) struct Search {
    is_operator: bool,
    write_double: WriteDouble,
    /// A buffer for names with escapes.
    scratch: Vec<u8>,
}

impl Search {
    pub(super) fn new(is_operator: bool, write_double: WriteDouble) -> Self {
        Self { is_operator, write_double, scratch: Vec::new() }
    }

    /// Steps over the value at the cursor, and writes the value at `steps` in it. The depth of the recursion is the length of the
    /// path, or the nesting of the copied JSON, which the cursor limits.
    pub(super) fn evaluate(
        &mut self,
        cursor: &mut Cursor<'_>,
        writer: &mut Writer<'_>,
        style: Style,
        steps: &[Step],
    ) -> Result<bool, Failure> {
        let first = cursor.value_start()?;
        match (first, steps) {
            (b'"', []) if style == Style::Raw => {
                cursor.at += 1;
                cursor.string_into(writer.out)?;
                Ok(true)
            }
            (b'[', []) if style == Style::Flatten => {
                self.each(cursor, |search, cursor, _| search.evaluate(cursor, writer, Style::Flatten, steps))
            }
            (b'n', []) if style == Style::Raw && self.is_operator => {
                cursor.word("null")?;
                Ok(false)
            }
            (_, []) => {
                writer.next();
                self.copy(cursor, writer)?;
                Ok(true)
            }
            (b'{', [Step::Name(_) | Step::Exactly(_), rest @ ..]) => self.field(cursor, writer, style, &steps[0], rest),
            (b'[', [Step::Elements, Step::Elements, rest @ ..]) => {
                writer.open();
                let found = self.all(cursor, writer, Style::Flatten, rest)?;
                writer.close();
                Ok(found)
            }
            (b'[', [Step::Elements, rest @ ..]) if style == Style::Quoted || self.is_operator => {
                writer.open();
                let inner = if style == Style::Raw { Style::Quoted } else { style };
                let found = self.all(cursor, writer, inner, rest)?;
                writer.close();
                Ok(found)
            }
            (b'[', [Step::Elements, rest @ ..]) => self.unwrapped(cursor, writer, style, rest),
            (b'[', [Step::Element(wanted), rest @ ..]) => {
                let style = if rest.first() == Some(&Step::Elements) { Style::Quoted } else { style };
                self.each(cursor, |search, cursor, index| match index == *wanted {
                    true => search.evaluate(cursor, writer, style, rest),
                    false => Ok(cursor.skip_value().map(|()| false)?),
                })
            }
            _ => {
                cursor.skip_value()?;
                Ok(false)
            }
        }
    }

    /// Calls `act` at each element of an array. Returns true if one call found a value.
    fn each(
        &mut self,
        cursor: &mut Cursor<'_>,
        mut act: impl FnMut(&mut Self, &mut Cursor<'_>, u64) -> Result<bool, Failure>,
    ) -> Result<bool, Failure> {
        cursor.enter()?;
        let (mut found, mut index) = (false, 0);
        let mut more = !cursor.leave(b']');
        while more {
            found |= act(self, cursor, index)?;
            index += 1;
            more = cursor.another(b']')?;
        }
        Ok(found)
    }

    /// Writes the value of each element. The caller writes the brackets.
    fn all(
        &mut self,
        cursor: &mut Cursor<'_>,
        writer: &mut Writer<'_>,
        style: Style,
        steps: &[Step],
    ) -> Result<bool, Failure> {
        let found = self.each(cursor, |search, cursor, _| {
            let before = writer.out.len();
            let found = search.evaluate(cursor, writer, style, steps)?;
            if !found && search.is_operator && !steps.is_empty() {
                writer.out.truncate(before);
                writer.next();
                writer.out.extend_from_slice(b"null");
            }
            Ok(found)
        })?;
        Ok(found || self.is_operator)
    }

    /// Writes the values of all elements: as an array, or a single one without brackets.
    fn unwrapped(
        &mut self,
        cursor: &mut Cursor<'_>,
        writer: &mut Writer<'_>,
        style: Style,
        steps: &[Step],
    ) -> Result<bool, Failure> {
        let style = if style == Style::Raw { Style::Quoted } else { style };
        let mut buffer = Vec::new();
        let mut inner = Writer::new(&mut buffer);
        inner.open();
        let mut count = 0;
        self.each(cursor, |search, cursor, _| {
            let found = search.evaluate(cursor, &mut inner, style, steps)?;
            count += usize::from(found);
            Ok(found)
        })?;
        inner.close();
        match count {
            0 => return Ok(false),
            1 => {
                writer.next();
                writer.out.extend_from_slice(&buffer[1..buffer.len() - 1]);
            }
            _ => {
                writer.next();
                writer.out.extend_from_slice(&buffer);
            }
        }
        Ok(true)
    }

    /// Finds the first field of this name that has a value. `null` is no value.
    fn field(
        &mut self,
        cursor: &mut Cursor<'_>,
        writer: &mut Writer<'_>,
        style: Style,
        wanted: &Step,
        rest: &[Step],
    ) -> Result<bool, Failure> {
        cursor.enter()?;
        let mut found = false;
        let mut met: Option<Vec<u8>> = None;
        let mut more = !cursor.leave(b'}');
        while more {
            cursor.name_start()?;
            let name = cursor.string(&mut self.scratch)?;
            let is_it = is_named(name, wanted);
            if is_it && let Step::Name(wanted) = wanted {
                match &met {
                    Some(earlier) if earlier != name => {
                        return Err(Failure::Ambiguous(Ambiguous(wanted.clone())));
                    }
                    Some(_) => {}
                    None => met = Some(name.to_owned()),
                }
            }
            cursor.colon()?;
            if found || !is_it || cursor.value_start()? == b'n' {
                cursor.skip_value()?;
            } else {
                found = self.evaluate(cursor, writer, style, rest)?;
            }
            more = cursor.another(b'}')?;
        }
        Ok(found)
    }

    /// The value at the cursor, without white space.
    fn copy(&mut self, cursor: &mut Cursor<'_>, writer: &mut Writer<'_>) -> Result<(), RecordError> {
        match cursor.value_start()? {
            b'"' => self.copy_string(cursor, writer),
            open @ (b'{' | b'[') => {
                let close = if open == b'{' { b'}' } else { b']' };
                writer.out.push(open);
                cursor.enter()?;
                let mut more = !cursor.leave(close);
                while more {
                    if open == b'{' {
                        cursor.peek();
                        if cursor.text.get(cursor.at) != Some(&b'"') {
                            return cursor.name_start();
                        }
                        self.copy_string(cursor, writer)?;
                        cursor.colon()?;
                        writer.out.push(b':');
                    }
                    self.copy(cursor, writer)?;
                    more = cursor.another(close)?;
                    if more {
                        writer.out.push(b',');
                    }
                }
                writer.out.push(close);
                Ok(())
            }
            b't' | b'f' | b'n' => {
                let start = cursor.at;
                cursor.skip_value()?;
                writer.out.extend_from_slice(&cursor.text[start..cursor.at]);
                Ok(())
            }
            _ => self.copy_number(cursor, writer),
        }
    }

    fn copy_string(&mut self, cursor: &mut Cursor<'_>, writer: &mut Writer<'_>) -> Result<(), RecordError> {
        cursor.at += 1;
        let text = cursor.string(&mut self.scratch)?;
        writer.string(text);
        Ok(())
    }

    fn copy_number(&mut self, cursor: &mut Cursor<'_>, writer: &mut Writer<'_>) -> Result<(), RecordError> {
        let number = cursor.number()?;
        match number.to_f64() {
            _ if number.is_integer && number.text == b"-0" => writer.out.push(b'0'),
            _ if number.is_integer => writer.out.extend_from_slice(number.text),
            Some(value) => writer.out.extend_from_slice((self.write_double)(value).as_bytes()),
            // Java reads a number out of its range as infinite, and writes that in quotes.
            None if number.negative => writer.out.extend_from_slice(b"\"-Infinity\""),
            None => writer.out.extend_from_slice(b"\"Infinity\""),
        }
        Ok(())
    }
}

fn is_named(name: &[u8], wanted: &Step) -> bool {
    match wanted {
        Step::Exactly(wanted) => name == wanted.as_bytes(),
        Step::Name(wanted) => {
            name.eq_ignore_ascii_case(wanted.as_bytes())
                || (!name.is_ascii() && String::from_utf8_lossy(name).to_lowercase() == wanted.to_lowercase())
        }
        _ => false,
    }
}
