//! Measures the gateway: records per second, and the time to an acknowledgement. A plain rdkafka producer with the same
//! number of records in flight is measured in turns with it, against the same broker.
//!
//! ```text
//! cargo run --release --example gateway_load -- BROKERS TOPIC GATEWAY-PORT GATEWAY-PID
//! ```
//!
//! `benches/way_in.sh` starts a broker and a gateway, and then this program. Clients, gateway, producer and broker
//! share the processors of the machine, so the figures compare the two and do not show the maximum of a machine.

use std::error::Error;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const CLIENTS: usize = 32;
const MEASURED: Duration = Duration::from_secs(10);
const CONTENT_TYPE: &str = "application/vnd.kafka.json.v2+json";
/// A record with the size of a post of the pipeline.
const RECORD: &str = r#"{"index": 17, "unique_id": "3175defb-95ec-4361-b90f-0b2d7b12e2ec", "title": "Bright Cakes for small rooms", "description": "All on a small budget, for children of all ages. The story of Traditional Journeys.", "poster_name": "Fern Valley", "follower_count": "95k", "tag_list": "Handmade Gardens,Bright Gifts,Colourful Journeys", "is_image_or_video": "image", "image_src": "https://images.example.com/originals/05/86/c7/05.jpg", "downloaded": 1, "save_location": "Local save in /data/tattoos", "category": "tattoos"}"#;

#[derive(Debug)]
struct Figures {
    records_per_second: f64,
    p50: Duration,
    p99: Duration,
    /// The processors used by the process that writes to Kafka. Clients in another process are not counted.
    processors: f64,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, topic, port, pid] = arguments.as_slice() else {
        return Err("usage: gateway_load BROKERS TOPIC GATEWAY-PORT GATEWAY-PID".into());
    };
    let (port, pid) = (port.parse()?, pid.parse()?);
    let mut out = io::stdout();
    writeln!(out, "{CLIENTS} clients, {} bytes a record, {MEASURED:?} each", RECORD.len())?;
    // The first run is not counted: it warms up connections and the broker.
    bare(brokers, topic, 1)?;
    for records in [1, 100] {
        let figures = [
            ("bare rdkafka", bare(brokers, topic, records)?),
            ("gateway", through_the_gateway(port, pid, topic, records)?),
        ];
        for (name, Figures { records_per_second, p50, p99, processors }) in figures {
            writeln!(
                out,
                "{records:>4} a post  {name:<12}  {records_per_second:>9.0} records/s  p50 {p50:>9.1?}  p99 {p99:>9.1?}  \
                 {processors:.2} processors"
            )?;
        }
    }
    Ok(())
}

/// Lets `CLIENTS` clients call `post` in a loop. Each call is one request with `records` records.
fn measure<C: Send + 'static>(
    records: usize,
    writer: u32,
    client: impl Fn() -> Result<C>,
    post: impl Fn(&mut C) -> Result<()> + Send + Sync + 'static,
) -> Result<Figures> {
    let post = Arc::new(post);
    let waits = Arc::<Mutex<Vec<Duration>>>::default();
    let clients = (0..CLIENTS).map(|_| client()).collect::<Result<Vec<C>>>()?;
    let used_before = processor_time(writer)?;
    let begun = Instant::now();
    let running: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let (post, waits) = (Arc::clone(&post), Arc::clone(&waits));
            thread::spawn(move || {
                let mut own = Vec::new();
                while begun.elapsed() < MEASURED {
                    let turn = Instant::now();
                    post(&mut client)?;
                    own.push(turn.elapsed());
                }
                waits.lock().unwrap_or_else(PoisonError::into_inner).extend(own);
                Ok(())
            })
        })
        .collect();
    for client in running {
        let ended: Result<()> = client.join().map_err(|_| "a client panicked")?;
        ended?;
    }
    let elapsed = begun.elapsed();
    let processors = (processor_time(writer)? - used_before).as_secs_f64() / elapsed.as_secs_f64();
    let mut waits = waits.lock().unwrap_or_else(PoisonError::into_inner);
    waits.sort_unstable();
    let records_per_second = (waits.len() * records) as f64 / elapsed.as_secs_f64();
    let at = |share: usize| waits[(waits.len() - 1) * share / 100];
    Ok(Figures { records_per_second, p50: at(50), p99: at(99), processors })
}

/// The processor time of a process so far, in user and in kernel mode.
fn processor_time(pid: u32) -> Result<Duration> {
    const TICKS_PER_SECOND: u64 = 100;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The twelfth and thirteenth fields after the name of the program. The name can contain blanks.
    let fields = stat.rsplit_once(')').ok_or("the process has no name")?.1.split_whitespace();
    let ticks: Vec<u64> = fields.skip(11).take(2).map(str::parse).collect::<std::result::Result<_, _>>()?;
    Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 1000 / TICKS_PER_SECOND))
}

fn through_the_gateway(port: u16, pid: u32, topic: &str, records: usize) -> Result<Figures> {
    let body = format!("{{\"records\":[{}]}}", vec![format!("{{\"value\":{RECORD}}}"); records].join(","));
    let head = format!("POST /topics/{topic} HTTP/1.1\r\nHost: x\r\nContent-Type: {CONTENT_TYPE}\r\n");
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    measure(
        records,
        pid,
        || Ok(BufReader::new(TcpStream::connect(("127.0.0.1", port))?)),
        move |connection| {
            connection.get_mut().write_all(request.as_bytes())?;
            let (status, answer) = read_answer(connection)?;
            match status == 200 && answer.matches("\"error_code\":null").count() == records {
                true => Ok(()),
                false => Err(format!("the gateway answered {status}: {answer}").into()),
            }
        },
    )
}

fn bare(servers: &str, topic: &str, records: usize) -> Result<Figures> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "1")
        .create()?;
    let topic = topic.to_owned();
    let figures = measure(
        records,
        std::process::id(),
        || Ok(producer.clone()),
        move |producer| {
            let send = |_| {
                let record = FutureRecord::<(), _>::to(&topic).payload(RECORD);
                producer.send_result(record).map_err(|(error, _)| error)
            };
            let sent: Vec<_> = (0..records).map(send).collect::<std::result::Result<_, _>>()?;
            for delivery in sent {
                block_on(delivery)?.map_err(|(error, _)| error)?;
            }
            Ok(())
        },
    );
    producer.flush(Duration::from_secs(10))?;
    figures
}

fn read_answer(connection: &mut BufReader<TcpStream>) -> Result<(u16, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8(head)?.to_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).ok_or("an answer has no length")?;
    let mut body = vec![0; length.parse()?];
    connection.read_exact(&mut body)?;
    let status = head.split(' ').nth(1).ok_or("an answer has no status")?;
    Ok((status.parse()?, String::from_utf8(body)?))
}
