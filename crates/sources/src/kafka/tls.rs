//! `kafka.ssl.*`: translates Java's key stores and trust stores to properties of OpenSSL.
//!
//! PEM, which the Java client accepts since Kafka 2.7, is read from a file or from the option itself. Java's own format (JKS) is
//! not read: the error says how to convert it.

use std::collections::BTreeMap;

use super::properties::refused;
use pinsql_base::error::Result;

/// Properties of Java that have no counterpart.
const REFUSED: [(&str, &str); 7] = [
    ("ssl.protocol", "the newest version that both sides support is used"),
    ("ssl.enabled.protocols", "the newest version that both sides support is used"),
    ("ssl.provider", "it names a Java provider"),
    ("ssl.secure.random.implementation", "it names a Java algorithm"),
    ("ssl.keymanager.algorithm", "it names a Java algorithm"),
    ("ssl.trustmanager.algorithm", "it names a Java algorithm"),
    ("ssl.engine.factory.class", "it names a Java class"),
];

/// Same meaning, other name: (Java's, librdkafka's).
const RENAMED: [(&str, &str); 2] =
    [("ssl.keystore.certificate.chain", "ssl.certificate.pem"), ("ssl.keystore.key", "ssl.key.pem")];

pub(super) fn translate(left: &mut BTreeMap<String, String>, values: &mut BTreeMap<String, String>) -> Result<()> {
    for (name, reason) in REFUSED {
        if left.contains_key(name) {
            return Err(refused(name, reason));
        }
    }
    for (name, translated) in RENAMED {
        if let Some(value) = left.remove(name) {
            values.insert(translated.to_owned(), value);
        }
    }
    if let Some(algorithm) = left.remove("ssl.endpoint.identification.algorithm") {
        // In Java, an empty text disables the check.
        let algorithm = if algorithm.trim().is_empty() { "none".to_owned() } else { algorithm.to_ascii_lowercase() };
        values.insert("ssl.endpoint.identification.algorithm".to_owned(), algorithm);
    }
    trust_store(left, values)?;
    key_store(left, values)
}

fn trust_store(left: &mut BTreeMap<String, String>, values: &mut BTreeMap<String, String>) -> Result<()> {
    let kind = left.remove("ssl.truststore.type");
    // A PEM trust store has no password.
    left.remove("ssl.truststore.password");
    if let Some(certificates) = left.remove("ssl.truststore.certificates") {
        values.insert("ssl.ca.pem".to_owned(), certificates);
    }
    let Some(location) = left.remove("ssl.truststore.location") else { return Ok(()) };
    match store_kind(kind.as_deref(), &location) {
        StoreKind::Pem => {
            values.insert("ssl.ca.location".to_owned(), location);
            Ok(())
        }
        StoreKind::Pkcs12 | StoreKind::Jks => {
            let reason = "it is a Java key store, and certificates are read as PEM; export them once with `keytool \
                          -exportcert -rfc -keystore STORE -alias ALIAS > ca.pem`, and set kafka.ssl.truststore.type \
                          to PEM";
            Err(refused("ssl.truststore.location", reason))
        }
    }
}

fn key_store(left: &mut BTreeMap<String, String>, values: &mut BTreeMap<String, String>) -> Result<()> {
    let kind = left.remove("ssl.keystore.type");
    let password = left.remove("ssl.keystore.password");
    let Some(location) = left.remove("ssl.keystore.location") else { return Ok(()) };
    match store_kind(kind.as_deref(), &location) {
        // One file holds the key and the certificates.
        StoreKind::Pem => {
            values.insert("ssl.key.location".to_owned(), location.clone());
            values.insert("ssl.certificate.location".to_owned(), location);
        }
        StoreKind::Pkcs12 => {
            values.insert("ssl.keystore.location".to_owned(), location);
            values.extend(password.map(|password| ("ssl.keystore.password".to_owned(), password)));
        }
        StoreKind::Jks => {
            let reason = "it is a Java key store (JKS); convert it to PKCS12 once with `keytool -importkeystore \
                          -srckeystore STORE -destkeystore store.p12 -deststoretype PKCS12`, and set \
                          kafka.ssl.keystore.type to PKCS12";
            return Err(refused("ssl.keystore.location", reason));
        }
    }
    Ok(())
}

enum StoreKind {
    Pem,
    Pkcs12,
    Jks,
}

/// The format of a store. Without a type it is JKS, as in Java, unless the file's extension says something else.
fn store_kind(kind: Option<&str>, location: &str) -> StoreKind {
    let ends_with = |ends: &[&str]| ends.iter().any(|end| location.to_ascii_lowercase().ends_with(end));
    match kind.map(str::to_ascii_uppercase).as_deref() {
        Some("PEM") => StoreKind::Pem,
        Some("PKCS12") => StoreKind::Pkcs12,
        Some(_) => StoreKind::Jks,
        None if ends_with(&[".pem", ".crt", ".cer"]) => StoreKind::Pem,
        None if ends_with(&[".p12", ".pfx"]) => StoreKind::Pkcs12,
        None => StoreKind::Jks,
    }
}
