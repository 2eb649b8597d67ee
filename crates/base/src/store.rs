//! The object stores: the local file system and S3.
//!
//! `object_store` is the client of S3. Credentials, region and endpoint come from AWS's default chain (environment variables,
//! profiles, SSO, containers, instances) of the AWS SDK, so pinsql finds the same ones as the AWS command line. Other clouds are
//! absent.

mod browse;
mod complete;
mod contact;
mod keys;
mod sync;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_types::service_config::ServiceConfigKey;
use datafusion::execution::runtime_env::RuntimeEnv;
use object_store::aws::{AmazonS3Builder, AwsCredential, resolve_bucket_region};
use object_store::{BackoffConfig, ClientOptions, CredentialProvider, RetryConfig};
use tokio::sync::Mutex;
use url::Url;

pub use self::browse::browse;
use self::complete::CompleteReads;
pub use self::keys::unlistable_keys;
pub use self::sync::sync_paths;
use crate::error::{Error, ErrorCode, Result};
use crate::settings::S3Config;

/// Credentials are renewed this long before they expire.
const REFRESH_BEFORE_EXPIRY: Duration = Duration::from_secs(300);
/// The time limit of the retries of one request while S3 is slow, throttles or is unreachable.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);
/// More than fit into the time limit, so the time limit decides.
const RETRIES_MAX: usize = 100;
/// The bounds of the delay before a retry. `object_store` draws each delay between the minimum and the previous one times
/// [`RETRY_WAIT_GROWTH_MAX`].
const RETRY_WAIT_MIN: Duration = Duration::from_millis(100);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(5);
const RETRY_WAIT_GROWTH_MAX: f64 = 3.0;
/// The region for S3-compatible servers if none is set.
const REGION_OF_COMPATIBLE_SERVERS: &str = "us-east-1";

/// Registers the object store of `url` in `runtime`, unless it is there. `url` is `file://`, `s3://` or `s3a://`.
///
/// # Errors
/// `INVALID_LOCATION` for another scheme or a URL without a bucket; `INVALID_CONFIGURATION` if the region is unknown.
pub async fn connect(runtime: &RuntimeEnv, url: &Url, config: &S3Config) -> Result<()> {
    match url.scheme() {
        "file" => Ok(()),
        "s3" | "s3a" => {
            let root = bucket_root(url)?;
            if runtime.object_store_registry.get_store(&root).is_err() {
                let store = open_bucket(&root, config).await?;
                runtime.register_object_store(&root, store);
            }
            Ok(())
        }
        other => {
            Err(Error::new(ErrorCode::InvalidLocation, format!("`{other}://` is not a place pinsql can read or write"))
                .with_hint("a local path, or s3://bucket/prefix"))
        }
    }
}

/// Converts a path from the user, local or a URL, to an absolute URL without `/` at the end.
///
/// # Errors
/// `INVALID_LOCATION`.
pub fn to_url(location: &str) -> Result<Url> {
    let trimmed = location.trim_end_matches('/');
    if trimmed.contains("://") {
        return Url::parse(trimmed).map_err(|error| {
            Error::new(ErrorCode::InvalidLocation, format!("`{location}` is not a URL")).caused_by(error)
        });
    }
    let absolute = std::path::absolute(if trimmed.is_empty() { location } else { trimmed }).map_err(|error| {
        Error::new(ErrorCode::InvalidLocation, format!("`{location}` is not a path")).caused_by(error)
    })?;
    Url::from_file_path(&absolute)
        .map_err(|()| Error::new(ErrorCode::InvalidLocation, format!("`{location}` is not a path")))
}

fn bucket_root(url: &Url) -> Result<Url> {
    let bucket = url.host_str().filter(|bucket| !bucket.is_empty()).ok_or_else(|| {
        Error::new(ErrorCode::InvalidLocation, format!("`{url}` names no bucket")).with_hint("write s3://bucket/prefix")
    })?;
    Url::parse(&format!("{}://{bucket}", url.scheme())).map_err(|error| {
        Error::new(ErrorCode::InvalidLocation, format!("`{bucket}` is not the name of a bucket")).caused_by(error)
    })
}

async fn open_bucket(root: &Url, config: &S3Config) -> Result<Arc<dyn object_store::ObjectStore>> {
    let bucket = root.host_str().unwrap_or_default();
    let aws = aws_config(config.region.as_deref()).await;
    let endpoint = endpoint_of(&aws, "S3").or_else(|| config.endpoint.clone());
    let region = match (aws.region(), &endpoint) {
        (Some(region), _) => region.to_string(),
        (None, Some(_)) => REGION_OF_COMPATIBLE_SERVERS.to_owned(),
        (None, None) => resolve_bucket_region(bucket, &ClientOptions::new()).await.map_err(|error| {
            Error::new(ErrorCode::InvalidConfiguration, format!("the region of the bucket `{bucket}` cannot be found"))
                .caused_by(error)
                .with_hint("set AWS_REGION, or [s3] region in pinsql.toml")
        })?,
    };
    let credentials = aws.credentials_provider().ok_or_else(|| Error::internal("AWS gave no credentials chain"))?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region)
        .with_credentials(Arc::new(AwsChain::new(credentials)))
        .with_retry(retry_config())
        .with_http_connector(contact::Connector)
        .with_virtual_hosted_style_request(!config.path_style.unwrap_or(endpoint.is_some()));
    if let Some(endpoint) = endpoint {
        builder = builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint);
    }
    let store = builder.build().map_err(|error| {
        Error::new(
            ErrorCode::InvalidConfiguration,
            format!("the S3 settings for the bucket `{bucket}` do not fit together"),
        )
        .caused_by(error)
    })?;
    Ok(Arc::new(CompleteReads::new(Arc::new(store))))
}

fn retry_config() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: RETRY_WAIT_MIN,
            max_backoff: RETRY_WAIT_MAX,
            base: RETRY_WAIT_GROWTH_MAX,
        },
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_TIMEOUT,
    }
}

/// The endpoint in AWS's variables and profiles: that of the service (`AWS_ENDPOINT_URL_S3`), or the general one.
fn endpoint_of(aws: &SdkConfig, service: &'static str) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let own = aws.service_config().zip(key.ok()).and_then(|(services, key)| services.load_config(key));
    own.or_else(|| aws.endpoint_url().map(str::to_owned))
}

/// The region, endpoint and credentials for an AWS service whose SDK is not a dependency.
#[derive(Debug)]
pub struct AwsAccess {
    region: String,
    endpoint: Option<String>,
    credentials: AwsChain,
}

impl AwsAccess {
    /// Loads the settings of the service with this SDK id, such as `Glue`. `region` is the default if AWS's chain has none.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` if there is no region.
    pub async fn of_service(service: &'static str, region: Option<&str>) -> Result<Self> {
        let aws = aws_config(region).await;
        let region = aws.region().map(ToString::to_string).ok_or_else(|| {
            Error::new(ErrorCode::InvalidConfiguration, format!("the region of {service} is not known"))
                .with_hint("set AWS_REGION, or [s3] region in pinsql.toml")
        })?;
        let credentials = aws.credentials_provider().ok_or_else(|| Error::internal("AWS gave no credentials chain"))?;
        Ok(Self { region, endpoint: endpoint_of(&aws, service), credentials: AwsChain::new(credentials) })
    }

    /// The region, such as `eu-central-1`.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The URL of the service, if a variable or a profile sets one.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// Returns credentials that are valid for a few minutes at least.
    ///
    /// # Errors
    /// `INVALID_CREDENTIALS`.
    pub async fn credential(&self) -> Result<Arc<AwsCredential>> {
        let refused = |error| {
            Error::new(ErrorCode::InvalidCredentials, "AWS's credentials chain gives no credentials").caused_by(error)
        };
        self.credentials.get_credential().await.map_err(refused)
    }
}

/// Loads AWS's default chain: region, endpoint, credentials. `region` is the default if the chain has none.
pub async fn aws_config(region: Option<&str>) -> SdkConfig {
    use aws_config::environment::EnvironmentVariableRegionProvider;
    use aws_config::meta::region::RegionProviderChain;
    use aws_config::profile::ProfileFileRegionProvider;

    // The SDK's own chain would also query the instance metadata service, which costs seconds where there is none.
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(region.map(str::to_owned).map(Region::new));
    let region = region.region().await;
    aws_config::defaults(BehaviorVersion::latest()).region(region).load().await
}

/// The longest use of credentials before the chain is asked again. Credentials without an expiry are in a file that another
/// program may write again. Others can be withdrawn before they expire.
const UNLIMITED_AGE_MAX: Duration = Duration::from_mins(1);
const LIMITED_AGE_MAX: Duration = Duration::from_mins(15);

/// AWS's credentials chain as a provider for `object_store`. Credentials are cached until shortly before they expire.
struct AwsChain {
    provider: Mutex<SharedCredentialsProvider>,
    current: Mutex<Option<Cached>>,
}

#[derive(Clone)]
struct Cached {
    credential: Arc<AwsCredential>,
    expiry: Option<SystemTime>,
    found_at: Instant,
}

impl Cached {
    fn is_fresh(&self) -> bool {
        let age_max = if self.expiry.is_some() { LIMITED_AGE_MAX } else { UNLIMITED_AGE_MAX };
        self.is_valid() && self.found_at.elapsed() < age_max
    }

    fn is_valid(&self) -> bool {
        self.expiry.is_none_or(|expiry| SystemTime::now() + REFRESH_BEFORE_EXPIRY < expiry)
    }
}

impl AwsChain {
    fn new(provider: SharedCredentialsProvider) -> Self {
        Self { provider: Mutex::new(provider), current: Mutex::new(None) }
    }

    /// The chain, made again: the providers of the SDK read the files of a profile only once.
    async fn renew(&self) {
        if let Some(provider) = aws_config(None).await.credentials_provider() {
            *self.provider.lock().await = provider;
        }
    }
}

impl fmt::Debug for AwsChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwsChain") // never the credentials
    }
}

#[async_trait]
impl CredentialProvider for AwsChain {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut current = self.current.lock().await;
        if let Some(cached) = current.as_ref() {
            if cached.is_fresh() {
                return Ok(Arc::clone(&cached.credential));
            }
            self.renew().await;
        }
        let provider = self.provider.lock().await.clone();
        let found = match (provider.provide_credentials().await, current.as_mut()) {
            (Ok(found), _) => found,
            // The chain may fail for a moment, such as while its file is written.
            (Err(_), Some(cached)) if cached.is_valid() => {
                cached.found_at = Instant::now();
                return Ok(Arc::clone(&cached.credential));
            }
            (Err(error), _) => {
                return Err(object_store::Error::Unauthenticated { path: "s3".to_owned(), source: Box::new(error) });
            }
        };
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        });
        *current =
            Some(Cached { credential: Arc::clone(&credential), expiry: found.expiry(), found_at: Instant::now() });
        Ok(credential)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_urls_become_urls_without_a_slash_at_the_end() {
        assert_eq!(to_url("s3://bucket/a b/").unwrap().as_str(), "s3://bucket/a%20b");
        assert_eq!(to_url("/tmp/x/").unwrap().as_str(), "file:///tmp/x");
        assert!(to_url("relative").unwrap().as_str().ends_with("/relative"));
        assert!(bucket_root(&to_url("s3:///x").unwrap_or_else(|_| Url::parse("s3:///x").unwrap())).is_err());
    }
}
