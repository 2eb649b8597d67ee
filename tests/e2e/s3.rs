//! A real S3 server, one for the whole run.
//!
//! Every test has its own prefix in the one bucket. The server checks signatures and supports conditional PUT.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::signer::Signer;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::python;
use crate::raw;
use crate::service::{self, Service, http};

const BUCKET: &str = "lake";
const REGION: &str = "eu-west-1";
const UPLOADS_CONCURRENT: usize = 16;

/// The users that the server accepts, with their permissions.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Identity {
    Owner,
    /// Can only read and list.
    Reader,
    /// Has the owner's key with a wrong secret.
    Impostor,
}

impl Identity {
    fn credentials(self) -> (&'static str, &'static str) {
        match self {
            Self::Owner => ("PINSQLOWNER", "owner-secret-of-the-tests"),
            Self::Reader => ("PINSQLREADER", "reader-secret-of-the-tests"),
            Self::Impostor => ("PINSQLOWNER", "not-the-secret-of-the-tests"),
        }
    }

    /// The secret, which must never be printed anywhere.
    pub(crate) fn secret(self) -> &'static str {
        self.credentials().1
    }
}

#[derive(Debug)]
pub(crate) struct S3Server {
    port: u16,
    store: AmazonS3,
    runtime: Runtime,
    service: Service,
}

/// The server that all tests share. The first call starts it.
pub(crate) fn server() -> &'static S3Server {
    static SERVER: OnceLock<S3Server> = OnceLock::new();
    SERVER.get_or_init(S3Server::start)
}

impl S3Server {
    fn start() -> Self {
        let folder = service::folder("seaweedfs");
        let [port, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc] = service::free_ports();
        let configuration = service::configure(&folder, "s3.json", &identities().to_string());
        let mut program = Command::new(python::program("weed"));
        program.args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-s3.autoCreateBucket=false"]);
        program.args(["-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]);
        program.args(["-master.volumeSizeLimitMB=64", "-volume.max=100", "-volume.preStopSeconds=0"]);
        program.arg(format!("-dir={}", folder.display()));
        program.arg(format!("-s3.config={}", configuration.display()));
        program.args([format!("-s3.port={port}"), format!("-s3.port.grpc={s3_grpc}")]);
        program.args([format!("-master.port={master}"), format!("-master.port.grpc={master_grpc}")]);
        program.args([format!("-volume.port={volume}"), format!("-volume.port.grpc={volume_grpc}")]);
        program.args([format!("-filer.port={filer}"), format!("-filer.port.grpc={filer_grpc}")]);
        // The server also creates Unix sockets. Their paths cannot be configured.
        let sockets = [port, s3_grpc, master_grpc, volume_grpc, filer, filer_grpc].map(socket);
        let service = Service::start("SeaweedFS", folder, &sockets, &program);
        let store = store(port);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let server = Self { port, store, runtime, service };
        // The port opens before the server can create the bucket, and the bucket exists before it accepts objects.
        server.service.await_ready(|| server.make_bucket() && server.try_put("ready", b"yes".to_vec()));
        server
    }

    fn make_bucket(&self) -> bool {
        let bucket = Key::default();
        let signing = self.store.signed_url("PUT".parse().unwrap(), &bucket, Duration::from_secs(60));
        let url = self.runtime.block_on(signing).unwrap();
        let path = format!("{}?{}", url.path(), url.query().unwrap());
        matches!(http("PUT", self.port, &path, ""), Some((200 | 409, _)))
    }

    fn try_put(&self, key: &str, body: Vec<u8>) -> bool {
        self.runtime.block_on(self.store.put(&Key::from(key), body.into())).is_ok()
    }

    pub(crate) fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        let body: Vec<u8> = body.into();
        self.runtime.block_on(self.store.put(&Key::from(key), body.into())).unwrap();
    }

    /// Copies a folder, file by file, and returns its URL.
    pub(crate) fn upload(&self, folder: &Path, prefix: &str) -> String {
        let uploads = raw::files(folder).into_iter().map(|file| {
            let key = Key::from(format!("{prefix}/{}", file.strip_prefix(folder).unwrap().to_str().unwrap()));
            async move { self.store.put(&key, fs::read(&file).unwrap().into()).await }
        });
        let uploads = stream::iter(uploads).buffer_unordered(UPLOADS_CONCURRENT).try_collect::<Vec<_>>();
        self.runtime.block_on(uploads).unwrap_or_else(|error| panic!("{error}\n{}", self.service.log()));
        self.url(prefix)
    }

    pub(crate) fn url(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    /// The keys with a prefix.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        let listing = self.store.list(Some(&Key::from(prefix))).map_ok(|object| object.location.to_string());
        let mut keys: Vec<String> = self.runtime.block_on(listing.try_collect()).unwrap();
        keys.sort();
        keys
    }

    pub(crate) fn get(&self, key: &str) -> Vec<u8> {
        let got = async { self.store.get(&Key::from(key)).await?.bytes().await };
        self.runtime.block_on(got).unwrap().to_vec()
    }

    /// The keys with a prefix. Each has its ETag, which changes when the object is written again, and the time of the
    /// last write.
    pub(crate) fn tags(&self, prefix: &str) -> BTreeMap<String, String> {
        let listing = self.store.list(Some(&Key::from(prefix)));
        let tagged = listing.map_ok(|object| {
            (object.location.to_string(), format!("{} {}", object.e_tag.unwrap(), object.last_modified))
        });
        self.runtime.block_on(tagged.try_collect()).unwrap()
    }

    /// A prefix that no other test uses.
    pub(crate) fn prefix(&self, name: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The variables that AWS's own tools read to reach this server.
    pub(crate) fn variables(&self, identity: Identity) -> Vec<(&'static str, String)> {
        variables(self.port, identity)
    }
}

fn socket(port: u16) -> String {
    format!("/tmp/seaweedfs-*-{port}.sock")
}

/// The same variables for any port that leads to the server, such as a proxy's.
pub(crate) fn variables(port: u16, identity: Identity) -> Vec<(&'static str, String)> {
    let (key, secret) = identity.credentials();
    vec![
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", key.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
    ]
}

fn store(port: u16) -> AmazonS3 {
    let (key, secret) = Identity::Owner.credentials();
    let builder = AmazonS3Builder::new().with_bucket_name(BUCKET).with_region(REGION).with_allow_http(true);
    let builder = builder.with_endpoint(format!("http://127.0.0.1:{port}"));
    builder.with_access_key_id(key).with_secret_access_key(secret).build().unwrap()
}

fn identities() -> Value {
    let identity = |name: &str, identity: Identity, actions: &[&str]| {
        let (key, secret) = identity.credentials();
        json!({"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions})
    };
    json!({"identities": [
        identity("owner", Identity::Owner, &["Admin", "Read", "Write", "List", "Tagging"]),
        identity("reader", Identity::Reader, &["Read", "List"]),
    ]})
}
