//! `encode`, and `decode` of bytes, in the character sets of Spark.

use datafusion::common::Result;
use datafusion::error::DataFusionError;

use crate::row::Kind::{Binary, Text};
use crate::row::{Row, RowFunction, wrong_value};
use pinsql_base::engine_error::external;
use pinsql_base::error::{Error, ErrorCode};

const CHARSETS: &str = "UTF-8, UTF-16, UTF-16BE, UTF-16LE, UTF-32, ISO-8859-1 and US-ASCII";

/// The internal name of `decode(bytes, charset)`, because `decode` with more arguments is a form of CASE.
pub const DECODE_BYTES: &str = "decode_bytes";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    Utf8,
    /// With a byte-order mark.
    Utf16,
    Utf16Be,
    Utf16Le,
    Utf32,
    Latin1,
    Ascii,
}

pub(crate) fn functions() -> Vec<RowFunction> {
    vec![
        RowFunction::new("encode", &[Text, Text], Binary, |row| Ok(encode(row)?.into())),
        RowFunction::new(DECODE_BYTES, &[Binary, Text], Text, |row| Ok(decode(row)?.into())),
    ]
}

impl Charset {
    fn parse(function: &str, name: &str) -> Result<Self> {
        Ok(match name.to_uppercase().as_str() {
            "UTF-8" => Self::Utf8,
            "UTF-16" => Self::Utf16,
            "UTF-16BE" => Self::Utf16Be,
            "UTF-16LE" => Self::Utf16Le,
            "UTF-32" => Self::Utf32,
            "ISO-8859-1" => Self::Latin1,
            "US-ASCII" => Self::Ascii,
            _ => return Err(unknown(function, name, CHARSETS)),
        })
    }
}

/// The error for an unknown name.
pub(crate) fn unknown(function: &str, name: &str, known: &str) -> DataFusionError {
    external(
        Error::new(ErrorCode::InvalidValue, format!("{function}: `{name}` is not known"))
            .with_hint(format!("there are {known}")),
    )
}

fn encode(row: &Row<'_>) -> Result<Vec<u8>> {
    let text = row.text(0)?;
    let narrow = |limit: u32| -> Result<Vec<u8>> {
        let byte = |character: char| u8::try_from(u32::from(character)).ok().filter(|_| u32::from(character) < limit);
        text.chars()
            .map(byte)
            .collect::<Option<_>>()
            .ok_or_else(|| wrong_value(format!("encode: `{text}` has characters that the character set does not have")))
    };
    Ok(match Charset::parse("encode", row.text(1)?)? {
        Charset::Utf8 => text.as_bytes().to_vec(),
        Charset::Utf16 if text.is_empty() => Vec::new(),
        Charset::Utf16 => [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect(),
        Charset::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        Charset::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Charset::Utf32 => text.chars().flat_map(|character| u32::from(character).to_be_bytes()).collect(),
        Charset::Latin1 => narrow(0x100)?,
        Charset::Ascii => narrow(0x80)?,
    })
}

fn decode(row: &Row<'_>) -> Result<String> {
    let bytes = row.binary(0)?;
    let charset = Charset::parse("decode", row.text(1)?)?;
    let units = |read: fn([u8; 2]) -> u16, bytes: &[u8]| -> Option<String> {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| read(*pair)).collect();
        String::from_utf16(&units).ok().filter(|_| rest.is_empty())
    };
    let text = match charset {
        Charset::Utf8 => std::str::from_utf8(bytes).ok().map(str::to_owned),
        Charset::Utf16 => match bytes {
            [0xFF, 0xFE, rest @ ..] => units(u16::from_le_bytes, rest),
            [0xFE, 0xFF, rest @ ..] | rest => units(u16::from_be_bytes, rest),
        },
        Charset::Utf16Be => units(u16::from_be_bytes, bytes),
        Charset::Utf16Le => units(u16::from_le_bytes, bytes),
        Charset::Utf32 => {
            let (quads, rest) = bytes.as_chunks::<4>();
            let text = quads.iter().map(|quad| char::from_u32(u32::from_be_bytes(*quad))).collect::<Option<_>>();
            text.filter(|_| rest.is_empty())
        }
        Charset::Latin1 => Some(bytes.iter().copied().map(char::from).collect()),
        Charset::Ascii => bytes.is_ascii().then(|| bytes.iter().copied().map(char::from).collect()),
    };
    text.ok_or_else(|| wrong_value("decode: the bytes are not valid in the character set".to_owned()))
}
