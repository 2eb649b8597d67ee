//! Lists and describes topics.
//!
//! The metadata of all topics is requested at once. A broker that gets a request for one topic by name may create the topic
//! (`auto.create.topics.enable`), and a description must create nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::producer::Producer as _;

use super::{Producer, blocking, configs};
use pinsql_base::error::Result;

/// How long to wait for the response of a broker.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Internal topics of Kafka.
const INTERNAL: [&str; 4] = ["__consumer_offsets", "__transaction_state", "__share_group_state", "__cluster_metadata"];

/// A topic, its settings and its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    pub name: String,
    /// The settings, without secret ones. Empty if this user may not read them.
    pub configs: BTreeMap<String, String>,
    /// The partitions, in the order of their numbers.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition, and the brokers that have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    pub partition: i32,
    /// The id of a broker, or -1 if there is no leader.
    pub leader: i32,
    pub replicas: Vec<ReplicaDescription>,
}

/// A copy of a partition on a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaDescription {
    pub broker: i32,
    pub is_leader: bool,
    pub is_in_sync: bool,
}

impl Producer {
    /// The names of all topics except the internal ones, sorted.
    pub async fn topics(&self) -> Result<Vec<String>> {
        self.topics_within(ANSWER_TIMEOUT).await
    }

    /// [`Producer::topics`] with another timeout.
    pub async fn topics_within(&self, timeout: Duration) -> Result<Vec<String>> {
        self.metadata(timeout, |topics| {
            let names = topics.iter().filter(|topic| topic.error().is_none()).map(MetadataTopic::name);
            let mut names: Vec<String> = names.filter(|name| !INTERNAL.contains(name)).map(ToOwned::to_owned).collect();
            names.sort_unstable();
            names
        })
        .await
    }

    /// The description of a topic, or None if there is no topic with this name.
    pub async fn topic(&self, name: &str) -> Result<Option<TopicDescription>> {
        self.topic_within(name, ANSWER_TIMEOUT).await
    }

    /// [`Producer::topic`] with another timeout.
    pub async fn topic_within(&self, name: &str, timeout: Duration) -> Result<Option<TopicDescription>> {
        let wanted = name.to_owned();
        let partitions = self.metadata(timeout, move |topics| {
            let found = topics.iter().find(|topic| topic.name() == wanted && topic.error().is_none())?;
            let mut partitions: Vec<_> = found.partitions().iter().map(partition).collect();
            partitions.sort_unstable_by_key(|partition| partition.partition);
            Some(partitions)
        });
        let Some(partitions) = partitions.await? else { return Ok(None) };
        let (client, topic) = (Arc::clone(&self.client), name.to_owned());
        let configs = blocking(move || Ok(configs::of_topic(client.client(), &topic, timeout))).await?;
        let configs = configs.unwrap_or_else(|reason| {
            tracing::debug!("Kafka: the settings of {name} cannot be read: {reason}");
            BTreeMap::new()
        });
        Ok(Some(TopicDescription { name: name.to_owned(), configs, partitions }))
    }

    async fn metadata<T: Send + 'static>(
        &self,
        timeout: Duration,
        take: impl FnOnce(&[MetadataTopic]) -> T + Send + 'static,
    ) -> Result<T> {
        let client = Arc::clone(&self.client);
        let answer = blocking(move || {
            let metadata = client.client().fetch_metadata(None, timeout);
            Ok(metadata.map(|metadata| take(metadata.topics())))
        });
        match answer.await? {
            Ok(taken) => {
                self.client.client().context().answered();
                Ok(taken)
            }
            Err(error) => Err(self.unanswered("the topics cannot be listed", error.to_string())),
        }
    }
}

fn partition(seen: &MetadataPartition) -> PartitionDescription {
    let replica = |broker: &i32| ReplicaDescription {
        broker: *broker,
        is_leader: *broker == seen.leader(),
        is_in_sync: seen.isr().contains(broker),
    };
    PartitionDescription {
        partition: seen.id(),
        leader: seen.leader(),
        replicas: seen.replicas().iter().map(replica).collect(),
    }
}
