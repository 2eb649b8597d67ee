//! What the gateway costs: records a second and the time to an acknowledgement, beside a bare rdkafka producer that has as many
//! records outstanding, in the same run and against the same broker.
//!
//! Clients, gateway, producer and broker share the machine's processors, so the figures say how the two stand to each other and
//! not what a machine can do. They are printed (`--nocapture`); what is asserted is only that the gateway is no bottleneck by
//! an order of magnitude more than what HTTP costs.

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

use crate::gateway::{Gateway, JSON, topic_of};
use crate::kafka::broker;

const CLIENTS: usize = 32;
const MEASURED: Duration = Duration::from_secs(5);
/// As large as a post of the pipeline.
const RECORD: &str = r#"{"index": 7528, "unique_id": "fbe53c66-3442-4773-b19e-d3ec6f54dddf", "title": "No Title Data Available", "description": "No description available Story format", "poster_name": "User Info Error", "follower_count": "User Info Error", "tag_list": "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e", "is_image_or_video": "multi-video(story page format)", "image_src": "Image src error.", "downloaded": 0, "save_location": "Local save in /data/mens-fashion", "category": "mens-fashion"}"#;

#[derive(Debug)]
struct Figures {
    records_per_second: f64,
    p50: Duration,
    p99: Duration,
    /// Of the process that writes, clients not counted where they are another.
    processors: f64,
}

/// Lets as many clients as there are do `post` again and again. Each turn is one request of so many records.
fn measure<C: Send + 'static>(
    records: usize,
    writer: u32,
    client: impl Fn() -> C,
    post: impl Fn(&mut C) + Send + Sync + 'static,
) -> Figures {
    let post = Arc::new(post);
    let waits = Arc::<Mutex<Vec<Duration>>>::default();
    let used_before = processor_time(writer);
    let begun = Instant::now();
    let running: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (mut client, post, waits) = (client(), Arc::clone(&post), Arc::clone(&waits));
            thread::spawn(move || {
                let mut own = Vec::new();
                while begun.elapsed() < MEASURED {
                    let turn = Instant::now();
                    post(&mut client);
                    own.push(turn.elapsed());
                }
                waits.lock().unwrap().extend(own);
            })
        })
        .collect();
    running.into_iter().for_each(|client| client.join().unwrap());
    let elapsed = begun.elapsed();
    let processors = (processor_time(writer) - used_before).as_secs_f64() / elapsed.as_secs_f64();
    let mut waits = waits.lock().unwrap();
    waits.sort_unstable();
    let records_per_second = (waits.len() * records) as f64 / elapsed.as_secs_f64();
    let at = |share: usize| waits[(waits.len() - 1) * share / 100];
    Figures { records_per_second, p50: at(50), p99: at(99), processors }
}

/// What a process has used of processors so far, in user and in kernel mode.
fn processor_time(pid: u32) -> Duration {
    const TICKS_PER_SECOND: u64 = 100;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // Behind the program's name, which may have blanks, the twelfth and thirteenth fields.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

fn through_the_gateway(gateway: &Gateway, topic: &str, records: usize) -> Figures {
    let port = gateway.port();
    let body = format!("{{\"records\":[{}]}}", vec![format!("{{\"value\":{RECORD}}}"); records].join(","));
    let head = format!("POST /topics/{topic} HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\n");
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    measure(
        records,
        gateway.pid(),
        || BufReader::new(TcpStream::connect(("127.0.0.1", port)).unwrap()),
        move |connection| {
            connection.get_mut().write_all(request.as_bytes()).unwrap();
            let (status, answer) = read_answer(connection);
            assert_eq!(status, 200, "{answer}");
            assert_eq!(answer.matches("\"error_code\":null").count(), records);
        },
    )
}

fn bare(servers: &str, topic: &str, records: usize) -> Figures {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "1")
        .create()
        .unwrap();
    let topic = topic.to_owned();
    let figures = measure(
        records,
        std::process::id(),
        || producer.clone(),
        move |producer| {
            let send = |_| producer.send_result(FutureRecord::<(), _>::to(&topic).payload(RECORD)).unwrap();
            let sent: Vec<_> = (0..records).map(send).collect();
            for delivery in sent {
                block_on(delivery).unwrap().unwrap();
            }
        },
    );
    producer.flush(Duration::from_secs(10)).unwrap();
    figures
}

fn read_answer(connection: &mut BufReader<TcpStream>) -> (u16, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    connection.read_exact(&mut body).unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), String::from_utf8(body).unwrap())
}

#[test]
fn the_gateway_beside_a_bare_producer() {
    let kafka = broker();
    let topic = topic_of(kafka, "figures", 3);
    let gateway = Gateway::start(&["--kafka", &kafka.servers()]);
    println!("{CLIENTS} clients, {} bytes a record, {MEASURED:?} each", RECORD.len());
    // Once for nothing: connections and the broker's own code warm up.
    bare(&kafka.servers(), &topic, 1);
    for records in [1, 100] {
        let bare = bare(&kafka.servers(), &topic, records);
        let gateway = through_the_gateway(&gateway, &topic, records);
        for (name, figures) in [("bare rdkafka", &bare), ("gateway", &gateway)] {
            let Figures { records_per_second, p50, p99, processors } = figures;
            println!(
                "{records:>4} a post  {name:<12}  {records_per_second:>9.0} records/s  p50 {p50:>9.1?}  p99 {p99:>9.1?}  \
                 {processors:.2} processors"
            );
        }
        assert!(gateway.records_per_second > bare.records_per_second / 50.0, "{gateway:?} beside {bare:?}");
    }
    gateway.terminate().success();
}
