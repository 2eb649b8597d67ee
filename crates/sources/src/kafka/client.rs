//! The callbacks that every client of the brokers has, reader or producer: logs, errors, and tokens of MSK's IAM.
//!
//! librdkafka reports why it cannot connect or authenticate only through its error callback. The calls themselves just time
//! out. This module keeps the last reports, so that the error of such a call can show the reason.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{NoCustomPartitioner, ProducerContext};
use tokio::runtime::Handle;

use super::error::KafkaFailure;
use super::iam::Iam;
use super::properties::Properties;
use pinsql_base::error::Error;

/// The reasons that librdkafka reported last, by kind of failure.
#[derive(Debug, Default)]
struct Complaints {
    authentication: Option<String>,
    tls: Option<String>,
    last: Option<String>,
}

/// The context of a client of rdkafka, whose callbacks it implements. `State` is the owner's data for these callbacks.
pub struct ClientEvents<State> {
    secrets: Vec<String>,
    iam: Option<Iam>,
    runtime: Handle,
    complaints: Mutex<Complaints>,
    state: State,
}

impl<State> fmt::Debug for ClientEvents<State> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientEvents").finish_non_exhaustive()
    }
}

impl<State> ClientEvents<State> {
    /// A context for one client. `runtime` runs the requests for tokens, since librdkafka requests them on its own threads.
    pub fn new(properties: &Properties, runtime: &Handle, state: State) -> Self {
        Self {
            secrets: properties.secrets(),
            iam: properties.iam.clone(),
            runtime: runtime.clone(),
            complaints: Mutex::default(),
            state,
        }
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// The failure that waiting cannot repair, if a broker reported one: wrong credentials, or TLS that does not match.
    /// `servers` is only for the text of the failure.
    pub fn refusal(&self, servers: &str) -> Option<KafkaFailure> {
        let complaints = self.complaints();
        let servers = servers.to_owned();
        if let Some(reason) = complaints.authentication.clone() {
            return Some(KafkaFailure::Authentication { servers, reason });
        }
        complaints.tls.clone().map(|reason| KafkaFailure::Tls { servers, reason })
    }

    /// The last reported reason why a connection failed.
    pub fn last_complaint(&self) -> Option<String> {
        self.complaints().last.clone()
    }

    /// Forgets all reported reasons, since the brokers answered now.
    pub fn answered(&self) {
        *self.complaints() = Complaints::default();
    }

    fn complaints(&self) -> MutexGuard<'_, Complaints> {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces secrets in a message. Today librdkafka puts none into its messages; this protects against a later version.
    fn without_secrets(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

/// The state of a producer's context. It receives the outcome of each record.
pub trait DeliveryState: Send + Sync + 'static {
    /// The data that librdkafka keeps with a record until its delivery, such as the channel that waits for the outcome.
    type Waiting: Send + Sync + 'static;

    /// Called once for each record, on the producer's polling thread, when the record is stored or given up.
    fn delivered(&self, result: &DeliveryResult<'_>, waiting: Box<Self::Waiting>);
}

impl<State: DeliveryState> ProducerContext<NoCustomPartitioner> for ClientEvents<State> {
    type DeliveryOpaque = Box<State::Waiting>;

    fn delivery(&self, result: &DeliveryResult<'_>, waiting: Self::DeliveryOpaque) {
        self.state.delivered(result, waiting);
    }
}

impl<State: Send + Sync + 'static> ConsumerContext for ClientEvents<State> {}

impl<State: Send + Sync + 'static> ClientContext for ClientEvents<State> {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let message = self.without_secrets(message);
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(facility, "Kafka: {message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(facility, "Kafka: {message}"),
            RDKafkaLogLevel::Debug => tracing::debug!(facility, "Kafka: {message}"),
        }
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        let reason = self.without_secrets(reason);
        tracing::debug!(%error, "Kafka: {reason}");
        let mut complaints = self.complaints();
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed) => {
                complaints.authentication = Some(reason);
            }
            Some(RDKafkaErrorCode::SSL) => complaints.tls = Some(reason),
            // The failure of a single broker came before and has the reason.
            Some(RDKafkaErrorCode::AllBrokersDown) if complaints.last.is_some() => {}
            _ => complaints.last = Some(reason),
        }
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn StdError>> {
        let iam = self.iam.as_ref().ok_or("no token can be made without AWS's credentials")?;
        let token = self.runtime.block_on(iam.token());
        let token = token.inspect_err(|reason| self.complaints().authentication = Some(reason.clone()))?;
        Ok(OAuthToken { token: token.text, principal_name: String::new(), lifetime_ms: token.expires_ms })
    }
}

/// The error for a client that librdkafka refuses to create. It shows no value of a property.
pub fn client_not_created(error: &KafkaError) -> Error {
    // Only this variant holds the value of a property, which may be a secret.
    let reason = match error {
        KafkaError::ClientConfig(_, reason, name, _) => format!("{name}: {reason}"),
        _ => error.to_string(),
    };
    KafkaFailure::Client { reason }.into()
}
