//! `kafka.*`: translates properties of the Java client, which Spark uses, to properties of librdkafka.
//!
//! Most have the same name and meaning. Others are translated here, or refused with advice. Also refused are properties that
//! would break a guarantee of pinsql (who commits offsets, what happens to an offset that is out of range), and those that
//! would load code. A value may be a secret, so no error shows one.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;

use super::error::KafkaFailure;
use super::iam::Iam;
use super::refusals::Role;
use super::{jaas, tls};
use pinsql_base::error::{Error, ErrorCode, Result};

/// The checked and translated properties of one client. Its `Debug` form shows names only, since values may be secrets.
#[derive(Clone, Default)]
pub struct Properties {
    /// By the names of librdkafka.
    values: BTreeMap<String, String>,
    /// The brokers, as `host:port` with commas between them.
    pub servers: String,
    /// `kafka.group.id`.
    pub(super) group: Option<String>,
    pub(super) iam: Option<Iam>,
}

/// Names without values, since some values are secrets.
impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Properties").field("names", &self.values.keys()).finish_non_exhaustive()
    }
}

/// The Java class that Spark needs for MSK's IAM. Here the mechanism alone is enough.
const IAM_HANDLER: &str = "software.amazon.msk.auth.iam.IAMClientCallbackHandler";

/// Properties of the Java producer with another name: (Java's, librdkafka's). `buffer.memory` is not in the list, because Java
/// counts it in bytes and librdkafka in kilobytes.
const RENAMED_OF_WRITERS: [(&str, &str); 1] = [("max.request.size", "message.max.bytes")];

const SECRET_MARKS: [&str; 5] = ["password", "secret", "jaas", "pem", "username"];

/// A shorter secret is not replaced in log lines: it would match too much of the other text.
const STRUCK_OUT_BYTES_MIN: usize = 4;

impl Properties {
    /// The properties of a reader. `given` has names in lower case, without `kafka.`.
    pub(super) fn translate(given: &BTreeMap<String, String>, region: Option<&str>) -> Result<Self> {
        let Some(servers) = given.get("bootstrap.servers").filter(|servers| !servers.trim().is_empty()) else {
            return Err(Error::new(ErrorCode::MissingOption, "read_kafka needs the option bootstrapServers")
                .with_hint("such as bootstrapServers => 'broker-1:9092,broker-2:9092'"));
        };
        Self::translate_for(Role::Reader, servers, given.clone(), region)
    }

    /// The properties of a producer. `servers` are the brokers, as `host:port` with commas between them. `given` has properties
    /// of the Java client or of librdkafka, with names in any case.
    ///
    /// Errors: no broker, an unknown or refused property, or a value that librdkafka does not accept.
    pub fn for_producer(servers: &str, given: &BTreeMap<String, String>) -> Result<Self> {
        if servers.trim().is_empty() {
            return Err(Error::new(ErrorCode::InvalidConfiguration, "no Kafka broker is given")
                .with_hint("such as broker-1:9092,broker-2:9092"));
        }
        let lower = given.iter().map(|(name, value)| (name.trim().to_ascii_lowercase(), value.clone()));
        let mut left: BTreeMap<String, String> = lower.collect();
        for (java, librdkafka) in RENAMED_OF_WRITERS {
            if let Some(value) = left.remove(java) {
                left.insert(librdkafka.to_owned(), value);
            }
        }
        if left.insert("bootstrap.servers".to_owned(), servers.trim().to_owned()).is_some() {
            return Err(refused("bootstrap.servers", "the brokers are already given"));
        }
        Self::translate_for(Role::Writer, servers.trim(), left, None)
    }

    fn translate_for(
        role: Role,
        servers: &str,
        mut left: BTreeMap<String, String>,
        region: Option<&str>,
    ) -> Result<Self> {
        let mut values = BTreeMap::new();
        let group = left.remove("group.id");
        let iam = translate_sasl(&mut left, &mut values, servers, region)?;
        tls::translate(&mut left, &mut values)?;
        for (name, value) in left {
            if let Some(reason) = role.refusal(&name) {
                return Err(refused(&name, reason));
            }
            let value = match name.as_str() {
                "security.protocol" => protocol(&value, iam.is_some())?,
                "isolation.level" => isolation(&value)?,
                _ => value,
            };
            values.insert(name, value);
        }
        let properties = Self { values, servers: servers.to_owned(), group, iam };
        properties.check()?;
        Ok(properties)
    }

    /// Lets librdkafka check each name and value, so that a wrong one is an error before anything runs.
    fn check(&self) -> Result<()> {
        let mut config = ClientConfig::new();
        self.apply(&mut config);
        match config.create_native_config() {
            Ok(_) => Ok(()),
            Err(KafkaError::ClientConfig(_, reason, name, _)) => {
                let is_known = !reason.starts_with("No such configuration property");
                Err(refused(
                    &name,
                    match (is_known, is_secret(&name)) {
                        (false, _) => "librdkafka has no property with this name or meaning".to_owned(),
                        (true, true) => "its value is not valid".to_owned(),
                        (true, false) => reason,
                    },
                ))
            }
            Err(error) => Err(KafkaFailure::Client { reason: error.to_string() }.into()),
        }
    }

    /// Sets the properties in a configuration of rdkafka. Properties that it sets later have precedence.
    pub fn apply(&self, config: &mut ClientConfig) {
        for (name, value) in &self.values {
            config.set(name, value);
        }
    }

    /// The values that must not appear in log lines of librdkafka.
    pub(super) fn secrets(&self) -> Vec<String> {
        let is_struck_out = |name: &str, value: &str| is_secret(name) && value.len() >= STRUCK_OUT_BYTES_MIN;
        let secrets = self.values.iter().filter(|(name, value)| is_struck_out(name, value) && *name != "sasl.username");
        secrets.map(|(_, value)| value.clone()).collect()
    }
}

/// True if the value of the property `name` (in lower case) may be a secret.
pub fn is_secret(name: &str) -> bool {
    SECRET_MARKS.iter().any(|mark| name.contains(mark))
}

pub(super) fn refused(name: &str, reason: impl Into<String>) -> Error {
    KafkaFailure::Property { name: format!("kafka.{name}"), reason: reason.into() }.into()
}

/// Translates mechanism and credentials. Returns the signer of tokens if the mechanism is MSK's IAM.
fn translate_sasl(
    left: &mut BTreeMap<String, String>,
    values: &mut BTreeMap<String, String>,
    servers: &str,
    region: Option<&str>,
) -> Result<Option<Iam>> {
    let mechanism = left.remove("sasl.mechanism").or_else(|| left.remove("sasl.mechanisms"));
    let mechanism = mechanism.map(|mechanism| mechanism.to_ascii_uppercase());
    let jaas = left.remove("sasl.jaas.config").map(|text| jaas::parse(&text)).transpose()?;
    if let Some(handler) = left.remove("sasl.client.callback.handler.class")
        && !handler.ends_with(IAM_HANDLER)
    {
        return Err(refused("sasl.client.callback.handler.class", "only the handler of MSK's IAM is supported"));
    }
    let protocol = left.get("security.protocol").map(|protocol| protocol.to_ascii_uppercase());
    let is_needed = protocol.as_deref().is_some_and(|protocol| protocol.starts_with("SASL"));
    if mechanism.is_some() && !is_needed {
        // The Java client would silently send no credentials.
        return Err(refused("sasl.mechanism", "it needs kafka.security.protocol SASL_SSL or SASL_PLAINTEXT"));
    }
    match mechanism.as_deref() {
        Some("AWS_MSK_IAM") => {
            values.insert("sasl.mechanisms".to_owned(), "OAUTHBEARER".to_owned());
            let options = jaas.map(|jaas| jaas.options).unwrap_or_default();
            return Ok(Some(Iam::new(&options, servers, region)?));
        }
        Some(mechanism @ ("PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512")) => {
            values.insert("sasl.mechanisms".to_owned(), mechanism.to_owned());
            if let Some(jaas) = jaas {
                jaas.check_module(mechanism)?;
                for (option, property) in [("username", "sasl.username"), ("password", "sasl.password")] {
                    let value = jaas.options.get(option);
                    let value = value.ok_or_else(|| refused("sasl.jaas.config", format!("it has no {option}")))?;
                    values.insert(property.to_owned(), value.clone());
                }
            }
        }
        Some("GSSAPI") => return Err(refused("sasl.mechanism", "Kerberos is not supported")),
        Some(_) => {
            let reason = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and AWS_MSK_IAM are supported";
            return Err(refused("sasl.mechanism", reason));
        }
        None if jaas.is_some() || is_needed => {
            let reason = "it is missing, and Java's default, Kerberos, is not supported; set PLAIN, SCRAM-SHA-256, \
                          SCRAM-SHA-512 or AWS_MSK_IAM";
            return Err(refused("sasl.mechanism", reason));
        }
        None => {}
    }
    Ok(None)
}

fn protocol(value: &str, is_iam: bool) -> Result<String> {
    let protocol = value.to_ascii_lowercase();
    match protocol.as_str() {
        "plaintext" | "ssl" | "sasl_plaintext" if is_iam => {
            Err(refused("security.protocol", "MSK allows IAM only over SASL_SSL"))
        }
        "plaintext" | "ssl" | "sasl_plaintext" | "sasl_ssl" => Ok(protocol),
        _ => Err(refused("security.protocol", "it must be PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")),
    }
}

fn isolation(value: &str) -> Result<String> {
    match value.to_ascii_lowercase().as_str() {
        level @ ("read_committed" | "read_uncommitted") => Ok(level.to_owned()),
        _ => Err(refused("isolation.level", "it must be read_committed or read_uncommitted")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translate(given: &[(&str, &str)]) -> Result<Properties> {
        let given = [&[("bootstrap.servers", "b-1.x.c2.kafka.eu-west-1.amazonaws.com:9098")][..], given].concat();
        let given = given.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Properties::translate(&given, None)
    }

    #[track_caller]
    fn check(given: &[(&str, &str)], translated: &[(&str, &str)]) {
        let mut values = translate(given).unwrap().values;
        values.remove("bootstrap.servers");
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(values, translated);
    }

    #[track_caller]
    fn check_refused(given: &[(&str, &str)], message: &str) {
        let error = translate(given).unwrap_err();
        assert!(error.message.starts_with(&format!("the Kafka property kafka.{message}")), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }

    const PLAIN: &str = "x.PlainLoginModule required username=\"u\" password=\"hunter2\";";
    const SASL: (&str, &str) = ("security.protocol", "SASL_SSL");

    #[test]
    fn javas_names_become_librdkafkas() {
        check(&[("fetch.min.bytes", "10"), ("client.id", "me")], &[("client.id", "me"), ("fetch.min.bytes", "10")]);
        check(
            &[SASL, ("sasl.mechanism", "plain"), ("sasl.jaas.config", PLAIN)],
            &[
                ("sasl.mechanisms", "PLAIN"),
                ("sasl.password", "hunter2"),
                ("sasl.username", "u"),
                ("security.protocol", "sasl_ssl"),
            ],
        );
        check(
            &[
                ("ssl.truststore.type", "PEM"),
                ("ssl.truststore.location", "/ca"),
                ("ssl.truststore.password", "hunter2"),
                ("ssl.keystore.location", "/me.pem"),
                ("ssl.endpoint.identification.algorithm", ""),
            ],
            &[
                ("ssl.ca.location", "/ca"),
                ("ssl.certificate.location", "/me.pem"),
                ("ssl.endpoint.identification.algorithm", "none"),
                ("ssl.key.location", "/me.pem"),
            ],
        );
        check(
            &[("ssl.keystore.location", "/me.p12"), ("ssl.keystore.password", "hunter2")],
            &[("ssl.keystore.location", "/me.p12"), ("ssl.keystore.password", "hunter2")],
        );
        check(&[("isolation.level", "READ_UNCOMMITTED")], &[("isolation.level", "read_uncommitted")]);
    }

    #[test]
    fn msk_iam_uses_signed_tokens_instead_of_a_password() {
        let handler = "software.amazon.msk.auth.iam.IAMClientCallbackHandler";
        let given = [
            SASL,
            ("sasl.mechanism", "AWS_MSK_IAM"),
            ("sasl.jaas.config", "shadedmskiam.software.amazon.msk.auth.iam.IAMLoginModule required;"),
            ("sasl.client.callback.handler.class", handler),
        ];
        let properties = translate(&given).unwrap();
        assert!(properties.iam.is_some());
        assert_eq!(properties.values["sasl.mechanisms"], "OAUTHBEARER");
        check_refused(
            &[("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "AWS_MSK_IAM")],
            "security.protocol is refused: MSK allows IAM only over SASL_SSL",
        );
    }

    #[test]
    fn properties_that_break_a_guarantee_or_have_no_effect_are_refused() {
        check_refused(&[("enable.auto.commit", "true")], "enable.auto.commit is refused: pinsql itself commits");
        check_refused(&[("auto.offset.reset", "latest")], "auto.offset.reset is refused: startingOffsets sets");
        check_refused(&[("key.deserializer", "x")], "key.deserializer is refused: keys are bytes");
        check_refused(&[("isolation.level", "x")], "isolation.level is refused: it must be read_committed");
        check_refused(
            &[("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", PLAIN)],
            "sasl.mechanism is refused: it needs",
        );
        check_refused(&[SASL, ("sasl.jaas.config", PLAIN)], "sasl.mechanism is refused: it is missing");
        check_refused(&[SASL, ("sasl.mechanism", "GSSAPI")], "sasl.mechanism is refused: Kerberos");
        check_refused(
            &[SASL, ("sasl.mechanism", "SCRAM-SHA-256"), ("sasl.jaas.config", PLAIN)],
            "sasl.jaas.config is refused: the mechanism SCRAM-SHA-256 needs ScramLoginModule",
        );
        check_refused(
            &[("ssl.truststore.location", "/ca.jks")],
            "ssl.truststore.location is refused: it is a Java key",
        );
        check_refused(&[("ssl.keystore.location", "/me.jks")], "ssl.keystore.location is refused: it is a Java key");
        check_refused(&[("no.such.thing", "hunter2")], "no.such.thing is refused: librdkafka has no property");
        check_refused(&[("fetch.min.bytes", "few")], "fetch.min.bytes is refused: ");
    }

    #[test]
    fn secrets_are_recognized() {
        let properties = translate(&[SASL, ("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", PLAIN)]).unwrap();
        assert_eq!(properties.secrets(), ["hunter2"]);
        assert!(!format!("{properties:?}").contains("hunter2"));
    }
}
