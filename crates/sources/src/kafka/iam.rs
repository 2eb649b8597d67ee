//! IAM authentication of Amazon MSK: a token signed with AWS credentials replaces the password.
//!
//! librdkafka requests a token when it connects, and again before the token expires (each lives 15 minutes). The credentials
//! that sign it come from AWS's default chain, from a profile, or from a role, as the options of `IAMLoginModule` say.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_msk_iam_sasl_signer::{
    generate_auth_token_from_credentials_provider, generate_auth_token_from_profile, generate_auth_token_from_role,
};

use super::properties::refused;
use pinsql_base::error::Result;

/// The longest wait for a token. AWS's chain may wait long for a metadata service that does not exist.
const TOKEN_WAIT_MAX: Duration = Duration::from_secs(20);

#[derive(Debug, Clone)]
pub(super) struct Iam {
    /// From the option or the names of the brokers. None: AWS's default chain gives it.
    region: Option<Region>,
    signer: Signer,
}

#[derive(Debug, Clone)]
enum Signer {
    Chain,
    Profile(String),
    Role {
        arn: String,
        session: String,
    },
    #[cfg(test)]
    Given(SharedCredentialsProvider),
}

pub(super) struct Token {
    pub(super) text: String,
    /// Milliseconds since 1970.
    pub(super) expires_ms: i64,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires_ms", &self.expires_ms).finish_non_exhaustive()
    }
}

impl Iam {
    /// `options` are the options of `IAMLoginModule`.
    pub(super) fn new(options: &BTreeMap<String, String>, servers: &str, region: Option<&str>) -> Result<Self> {
        const KNOWN: [&str; 5] =
            ["awsProfileName", "awsRoleArn", "awsRoleSessionName", "awsStsRegion", "awsDebugCreds"];
        if let Some(name) = options.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(refused("sasl.jaas.config", format!("IAMLoginModule's option {name} is not supported")));
        }
        let signer = match (options.get("awsProfileName"), options.get("awsRoleArn")) {
            (Some(_), Some(_)) => {
                return Err(refused("sasl.jaas.config", "it names a profile and a role; give only one of them"));
            }
            (Some(profile), None) => Signer::Profile(profile.clone()),
            (None, Some(arn)) => {
                let session = options.get("awsRoleSessionName").cloned().unwrap_or_else(|| "pinsql".to_owned());
                Signer::Role { arn: arn.clone(), session }
            }
            (None, None) => Signer::Chain,
        };
        let region = region.map(str::to_owned).or_else(|| region_of(servers));
        Ok(Self { region: region.map(Region::new), signer })
    }

    #[cfg(test)]
    pub(super) fn signed_by(provider: SharedCredentialsProvider) -> Self {
        Self { region: Some(Region::new("eu-west-1")), signer: Signer::Given(provider) }
    }

    /// Signs a new token. The error text has no secret.
    pub(super) async fn token(&self) -> Result<Token, String> {
        match tokio::time::timeout(TOKEN_WAIT_MAX, self.sign()).await {
            Ok(token) => token,
            Err(_) => Err(format!("AWS gave no credentials within {} s", TOKEN_WAIT_MAX.as_secs())),
        }
    }

    async fn sign(&self) -> Result<Token, String> {
        let region = match &self.region {
            Some(region) => region.clone(),
            None => aws_config::load_defaults(BehaviorVersion::latest())
                .await
                .region()
                .cloned()
                .ok_or_else(|| "no region is known; set the option awsRegion or AWS_REGION".to_owned())?,
        };
        let signed = match &self.signer {
            Signer::Chain => generate_auth_token_from_credentials_provider(region, chain().await?).await,
            Signer::Profile(name) => generate_auth_token_from_profile(region, name.clone()).await,
            Signer::Role { arn, session } => generate_auth_token_from_role(region, arn.clone(), session.clone()).await,
            #[cfg(test)]
            Signer::Given(provider) => generate_auth_token_from_credentials_provider(region, provider.clone()).await,
        };
        // librdkafka reads a C string, which ends at a null byte.
        let (text, expires_ms) = signed.map_err(|error| error.to_string().replace('\0', " "))?;
        Ok(Token { text, expires_ms })
    }
}

async fn chain() -> Result<SharedCredentialsProvider, String> {
    let aws = aws_config::load_defaults(BehaviorVersion::latest()).await;
    aws.credentials_provider().ok_or_else(|| "AWS's settings give no credentials".to_owned())
}

/// `b-1.pins.abc123.c2.kafka.eu-west-1.amazonaws.com` is in eu-west-1.
fn region_of(servers: &str) -> Option<String> {
    let host = servers.split(',').next()?.trim().rsplit_once(':').map_or(servers, |(host, _)| host);
    let domain = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    let (service, region) = domain.rsplit_once('.')?;
    (service.ends_with(".kafka") || service.ends_with(".kafka-serverless")).then(|| region.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use aws_credential_types::Credentials;

    use super::*;

    #[test]
    fn the_region_is_found_in_the_brokers_names() {
        let check =
            |servers: &str, region: Option<&str>| assert_eq!(region_of(servers).as_deref(), region, "{servers}");
        check("b-1.pins.abc123.c2.kafka.eu-west-1.amazonaws.com:9098,b-2.x:9098", Some("eu-west-1"));
        check("boot-x.c3.kafka-serverless.us-east-2.amazonaws.com:9098", Some("us-east-2"));
        check("b-1.pins.abc123.c2.kafka.cn-north-1.amazonaws.com.cn:9098", Some("cn-north-1"));
        check("broker.example.com:9092", None);
        check("x.s3.eu-west-1.amazonaws.com:443", None);
        check("", None);
    }

    #[tokio::test]
    async fn each_token_is_signed_for_the_region_and_lives_a_quarter_of_an_hour() {
        let provider = SharedCredentialsProvider::new(Credentials::for_tests());
        let iam = Iam::signed_by(provider);
        let token = iam.token().await.unwrap();
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
        let lifetime_ms = token.expires_ms - now_ms;
        assert!((898_000..=901_000).contains(&lifetime_ms), "{lifetime_ms}");
        // Base64 of an URL: `https://kafka.eu-west-1.`.
        assert!(token.text.starts_with("aHR0cHM6Ly9rYWZrYS5ldS13ZXN0LTEu"), "{}", token.text);
        assert!(!format!("{token:?}").contains(&token.text));
    }

    #[test]
    fn the_options_of_the_login_module_choose_the_signer() {
        let new = |options: &[(&str, &str)]| {
            let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Iam::new(&options.collect(), "b:9098", Some("eu-west-1")).map(|iam| format!("{:?}", iam.signer))
        };
        assert_eq!(new(&[]).unwrap(), "Chain");
        assert_eq!(new(&[("awsProfileName", "prod")]).unwrap(), "Profile(\"prod\")");
        assert_eq!(new(&[("awsRoleArn", "a")]).unwrap(), "Role { arn: \"a\", session: \"pinsql\" }");
        assert!(new(&[("awsProfileName", "p"), ("awsRoleArn", "a")]).is_err());
        assert!(new(&[("awsSecret", "p")]).is_err());
    }
}
