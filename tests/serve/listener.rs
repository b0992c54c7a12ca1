//! The socket, under callers who mean no good: they dribble, flood and never read, and a probe is answered all the while.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::Parser as _;
use jiff::Timestamp;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use unscim::cli::args::{Cli, Verb};
use unscim::model::condition::Condition;
use unscim::model::status::{CycleStatus, Gauges, Outlook, Phase, Progress, Remaining, Status};
use unscim::model::timeline::Timeline;
use unscim::serve::metrics::Metrics;
use unscim::serve::{Hosts, State, bind, bind_by, listen};

/// As many as `listen` seats, of one peer, and of it in `/events`.
const SEATS: usize = 256;
const OF_A_PEER: usize = 64;
const WATCHING: usize = 32;

fn status(notes: Vec<String>) -> Status {
    Status {
        phase: Phase::Observing,
        conditions: Vec::<Condition>::new(),
        progress: Progress::default(),
        remaining: Remaining { outlook: Outlook::NotKnown, ..Remaining::default() },
        pending: Vec::new(),
        held: Vec::new(),
        cycle: CycleStatus::default(),
        groups: Vec::new(),
        journal: Vec::new(),
        notes,
        last_attempt: Some(Timestamp::UNIX_EPOCH),
        last_success: None,
        turn: 1,
        app: None,
        decisions: None,
        ledger: None,
        timeline: Timeline::default(),
        gauges: Gauges::default(),
    }
}

struct Listening {
    state: State,
    at: SocketAddr,
    cancel: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Listening {
    async fn start() -> Self {
        Self::on("127.0.0.1:0").await
    }

    async fn on(address: &str) -> Self {
        let state = State::new("uniqkey", json!({}), Arc::new(Metrics::new()), Duration::from_secs(86_400));
        let cancel = CancellationToken::new();
        let socket = bind(address.parse().unwrap()).await.unwrap();
        let (at, serving) =
            listen(socket, state.clone(), Hosts::new(&["Unscim.Example".into(), String::new()]), None, cancel.clone()).unwrap();
        Listening { state, at, cancel, serving: tokio::spawn(serving) }
    }

    async fn connect(&self, peer: u8) -> TcpStream {
        connect(self.at, peer).await
    }

    async fn close(self) {
        self.cancel.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

/// From 127.0.0.`peer`.
async fn connect(to: SocketAddr, peer: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, peer), 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// The whole answer to one request, up to the end of the connection.
async fn ask(to: SocketAddr, peer: u8, path: &str) -> std::io::Result<String> {
    let mut stream = connect(to, peer).await;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// What a kubelet does, for three seconds.
async fn probes_get_through(to: SocketAddr, peer: u8) {
    for _ in 0..30 {
        let answer =
            tokio::time::timeout(Duration::from_secs(1), ask(to, peer, "/livez")).await.expect("within a second").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok\n"), "{answer}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Reads until `wanted` was seen; false where the connection ended before.
async fn until(stream: &mut TcpStream, wanted: &str) -> bool {
    let (mut read, mut piece) = (String::new(), [0; 4096]);
    while !read.contains(wanted) {
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return false,
            Ok(n) => read.push_str(std::str::from_utf8(&piece[..n]).unwrap()),
        }
    }
    true
}

/// A head without an end, a byte at a time, for as long as the other side has the patience.
async fn dribble(mut stream: TcpStream, pause: Duration) {
    let head = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nx-padding: ".iter().chain(std::iter::repeat(&b'a'));
    for byte in head {
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        if let Ok(Ok(0) | Err(_)) = tokio::time::timeout(pause, stream.read(&mut [0; 256])).await {
            return;
        }
    }
}

/// Dribbles until it is dropped.
#[derive(Default)]
struct Flood {
    /// Those that are not yet closed.
    open: Arc<AtomicUsize>,
    dribbling: JoinSet<()>,
}

/// So many from each of these peers.
async fn flood(to: SocketAddr, peers: std::ops::Range<u8>, each: usize) -> Flood {
    let mut flood = Flood::default();
    for peer in peers {
        for _ in 0..each {
            let (stream, open) = (connect(to, peer).await, Arc::clone(&flood.open));
            open.fetch_add(1, Ordering::Relaxed);
            flood.dribbling.spawn(async move {
                dribble(stream, Duration::from_millis(50)).await;
                open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }
    flood
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_get_through_while_many_peers_dribble() {
    let listening = Listening::start().await;
    let flood = flood(listening.at, 2..12, 50).await;
    probes_get_through(listening.at, 1).await;
    let left = flood.open.load(Ordering::Relaxed);
    assert!(left <= SEATS, "{left} dribble on");
    drop(flood);
    listening.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_peer_takes_no_seat_of_another_and_probes_get_through_from_its_address_too() {
    let listening = Listening::start().await;
    let mut other = listening.connect(3).await;
    let flood = flood(listening.at, 2..3, 2 * SEATS).await;
    probes_get_through(listening.at, 2).await;
    let left = flood.open.load(Ordering::Relaxed);
    assert!(left <= OF_A_PEER, "{left} dribble on");
    other.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert!(until(&mut other, "ok\n").await, "whoever was there before the flood is still served");
    drop(flood);
    listening.close().await;
}

/// From the probe's own address, so that whoever floods and the kubelet share what one peer may have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_outlives_a_storm_of_new_connections() {
    let listening = Listening::start().await;
    let at = listening.at;
    let mut storm = JoinSet::new();
    for _ in 0..4 {
        storm.spawn(async move {
            let mut held = VecDeque::new();
            loop {
                for _ in 0..OF_A_PEER {
                    let mut stream = connect(at, 2).await;
                    // It may have been closed already.
                    let _ = stream.write_all(b"GET").await;
                    held.push_back(stream);
                }
                held.drain(..held.len().saturating_sub(OF_A_PEER));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }
    // Some thousands a second can come between a probe's connection and its request, so one may be lost; a kubelet asks three times.
    let mut lost = 0;
    for _ in 0..30 {
        let answer = tokio::time::timeout(Duration::from_secs(1), ask(at, 2, "/livez")).await;
        let answered = answer.is_ok_and(|answer| answer.is_ok_and(|text| text.ends_with("ok\n")));
        lost = if answered { 0 } else { lost + 1 };
        assert!(lost < 3, "three in a row are lost");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(storm);
    listening.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_watches_is_not_thrown_out_and_keeps_no_probe_out() {
    let listening = Listening::start().await;
    let watch = async |peer: u8| {
        let mut stream = listening.connect(peer).await;
        stream.write_all(b"GET /events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
        stream
    };
    let mut watching = Vec::new();
    for peer in 2..6 {
        for _ in 0..WATCHING {
            let mut stream = watch(peer).await;
            assert!(until(&mut stream, "text/event-stream").await);
            watching.push(stream);
        }
    }
    assert!(until(&mut watch(2).await, "503 Service Unavailable").await, "one peer does not watch with more");
    assert!(until(&mut watch(6).await, "503 Service Unavailable").await, "nor do all together with more than half of the seats");
    let flood = flood(listening.at, 2..12, 50).await;
    probes_get_through(listening.at, 2).await;
    listening.state.publish(&status(vec!["news".into()]));
    for stream in &mut watching {
        assert!(until(stream, "news").await, "it still watches");
    }
    drop((flood, watching));
    let again = async {
        while !until(&mut watch(2).await, "text/event-stream").await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), again).await.expect("whoever leaves makes room");
    listening.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_head_that_takes_too_long_ends_the_connection_whatever_dribbles() {
    let listening = Listening::start().await;
    let began = tokio::time::Instant::now();
    let dribbling = dribble(listening.connect(2).await, Duration::from_secs(1));
    tokio::time::timeout(Duration::from_secs(300), dribbling).await.expect("it is closed");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    listening.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_not_waited_for() {
    let listening = Listening::start().await;
    for (length, code) in
        [("content-length: 4000", "405"), ("transfer-encoding: chunked", "405"), ("content-length: 9999", "413")]
    {
        let mut stream = listening.connect(2).await;
        let began = tokio::time::Instant::now();
        stream.write_all(format!("POST /livez HTTP/1.1\r\nhost: localhost\r\n{length}\r\n\r\n").as_bytes()).await.unwrap();
        assert!(until(&mut stream, &format!("HTTP/1.1 {code} ")).await, "{length}");
        let body = async {
            while stream.write_all(b"1\r\na\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(300), body).await.expect("it is closed");
        assert!(began.elapsed() < Duration::from_secs(60), "{length}: {:?}", began.elapsed());
    }
    listening.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_read_too_slowly_is_given_up() {
    let listening = Listening::start().await;
    // More than sockets hold by themselves.
    listening.state.publish(&status(vec!["x".repeat(32 << 20)]));
    let mut stream = listening.connect(2).await;
    stream.write_all(b"GET /status HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let (mut piece, mut read) = (vec![0; 128 << 10], 0);
    while let Ok(n @ 1..) = stream.read(&mut piece).await {
        read += n;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(read < 32 << 20, "all of it was read");
    listening.close().await;
}

#[tokio::test]
async fn a_connection_is_used_again_and_a_head_beyond_measure_is_refused() {
    let listening = Listening::start().await;
    let mut stream = listening.connect(2).await;
    for _ in 0..3 {
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        assert!(until(&mut stream, "ok\n").await);
    }
    let mut large = listening.connect(2).await;
    large
        .write_all(format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "a".repeat(20 << 10)).as_bytes())
        .await
        .unwrap();
    assert!(until(&mut large, "HTTP/1.1 431 ").await);
    listening.close().await;
}

#[tokio::test]
async fn only_names_of_ours_are_answered_and_the_probes_whatever_the_name() {
    let listening = Listening::start().await;
    listening.state.publish(&status(Vec::new()));
    let told = async |path: &str, head: &str| {
        let mut stream = listening.connect(1).await;
        stream.write_all(format!("GET {path} HTTP/1.1\r\n{head}connection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let ours = ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.9.9.9:1", "[::1]:8080", "10.1.2.3:8080", "[2001:db8::1]"];
    for host in ours.into_iter().chain(["unscim.example", "UNSCIM.example.:8080", machine.trim()]) {
        for path in ["/", "/status", "/metrics", "/page.js"] {
            assert!(told(path, &format!("host: {host}\r\n")).await.starts_with("HTTP/1.1 200 "), "{host} {path}");
        }
        assert!(told("/nothing", &format!("host: {host}\r\n")).await.starts_with("HTTP/1.1 404 "), "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "unscim.example.evil",
        "x.unscim.example",
        "127.0.0.1.nip.io",
    ] {
        let name = host.split(':').next().unwrap();
        for path in ["/", "/status", "/events", "/metrics", "/page.js", "/nothing"] {
            let answer = told(path, &format!("host: {host}\r\n")).await;
            assert!(
                answer.starts_with("HTTP/1.1 421 ") && answer.contains(&format!("--allowed-host {name} ")),
                "{path}: {answer}"
            );
            assert!(answer.contains("content-security-policy: ") && !answer.contains("ScimRetirement"), "{answer}");
        }
    }
    for head in
        ["", "host:\r\n", "host: a b\r\n", "host: me@localhost\r\n", "host: localhost\r\nhost: localhost\r\n", "host: :80\r\n"]
    {
        let answer = told("/status", head).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{head:?}: {answer}");
    }
    let answer = told("http://evil.example/status", "host: localhost\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 421 ") && answer.contains("evil.example"), "{answer}");
    let given = |args: &[&str]| {
        Cli::try_parse_from(["unscim", "demo"].iter().chain(args)).map(|cli| match cli.verb {
            Verb::Demo(args) => args.names.allowed_host,
            _ => panic!("it was a demo"),
        })
    };
    assert_eq!(given(&["--allowed-host", "a.example, b-1", "--allowed-host", "c"]).unwrap(), ["a.example", "b-1", "c"]);
    for bad in ["https://a.example", "a.example:8080", "*.example"] {
        let error = given(&["--allowed-host", bad]).unwrap_err().to_string();
        assert!(error.contains("write the name alone"), "{error}");
    }
    for path in ["/livez", "/readyz", "/healthz"] {
        for head in ["", "host: evil.example\r\n", "host: a b\r\n"] {
            assert!(told(path, head).await.starts_with("HTTP/1.1 200 "), "{path} {head:?}");
        }
    }
    listening.close().await;
}

#[tokio::test]
async fn the_unspecified_address_of_ipv6_is_for_callers_of_either_kind() {
    let here = Listening::on("[::]:0").await;
    probes_get_through((Ipv4Addr::LOCALHOST, here.at.port()).into(), 1).await;
    if here.at.is_ipv6() {
        let mut stream = TcpStream::connect((Ipv6Addr::LOCALHOST, here.at.port())).await.unwrap();
        let request = format!("GET /metrics HTTP/1.1\r\nhost: [::1]:{}\r\nconnection: close\r\n\r\n", here.at.port());
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(until(&mut stream, "HTTP/1.1 200 ").await);
    }
    here.close().await;
}

#[test]
fn without_ipv6_its_unspecified_address_is_that_of_ipv4() {
    const WITHOUT: i32 = 97; // EAFNOSUPPORT
    let without_ipv6 = |address: SocketAddr| match address {
        SocketAddr::V4(_) => Ok(address),
        SocketAddr::V6(_) => Err(std::io::Error::from_raw_os_error(WITHOUT)),
    };
    let opened = |address: &str| bind_by(address.parse().unwrap(), without_ipv6);
    assert_eq!(opened("[::]:8080").unwrap(), "0.0.0.0:8080".parse().unwrap());
    assert_eq!(opened("127.0.0.1:8080").unwrap(), "127.0.0.1:8080".parse().unwrap());
    // Whoever names one address means it.
    let refused = opened("[::1]:8080").unwrap_err().to_string();
    assert!(refused.contains("listening on [::1]:8080: ") && refused.contains("--listen"), "{refused}");
    let busy = |_: SocketAddr| Err::<SocketAddr, _>(std::io::ErrorKind::AddrInUse.into());
    assert!(bind_by("[::]:8080".parse().unwrap(), busy).unwrap_err().to_string().contains("[::]:8080"));
}
