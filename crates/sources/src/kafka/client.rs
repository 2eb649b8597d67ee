//! What every client of the brokers has, whether it reads or writes: where librdkafka's words go, and who makes its tokens.
//!
//! librdkafka says why it cannot reach or enter a cluster only in passing, between the calls that then merely time out. What it
//! said is kept here, so that the error of such a call can tell the reason.

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

/// What librdkafka said that matters to whoever waits for an answer.
#[derive(Debug, Default)]
struct Complaints {
    authentication: Option<String>,
    tls: Option<String>,
    last: Option<String>,
}

/// A client's context. `State` is what its owner keeps with it.
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

    /// Why no broker of `servers` will ever let this client in, if one has said so.
    pub fn refusal(&self, servers: &str) -> Option<KafkaFailure> {
        let complaints = self.complaints();
        let servers = servers.to_owned();
        if let Some(reason) = complaints.authentication.clone() {
            return Some(KafkaFailure::Authentication { servers, reason });
        }
        complaints.tls.clone().map(|reason| KafkaFailure::Tls { servers, reason })
    }

    /// What was said last of a connection that cannot be made.
    pub fn last_complaint(&self) -> Option<String> {
        self.complaints().last.clone()
    }

    /// The brokers have answered: what was said before does not hold any more.
    pub fn answered(&self) {
        *self.complaints() = Complaints::default();
    }

    fn complaints(&self) -> MutexGuard<'_, Complaints> {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// librdkafka names no password in what it says; this is for the day on which it does.
    fn without_secrets(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

/// The state of a producer: it receives the outcome of each record.
pub trait DeliveryState: Send + Sync + 'static {
    /// Travels with a record through librdkafka.
    type Waiting: Send + Sync + 'static;

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
            // It says nothing that the broker's own failure did not say before.
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

/// The error of a client that librdkafka does not make.
pub fn not_made(error: &KafkaError) -> Error {
    // This variant alone holds a value, which may be a secret.
    let reason = match error {
        KafkaError::ClientConfig(_, reason, name, _) => format!("{name}: {reason}"),
        _ => error.to_string(),
    };
    KafkaFailure::Client { reason }.into()
}
