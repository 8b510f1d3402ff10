//! Names, by name servers of the test's own.

use badgate::sources::probe::{Ask, Servers, probe, quietly};
use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CNAME, NS, SOA};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::str::FromStr;
use std::time::Duration;

fn name(s: &str) -> Name {
    Name::from_str(s).unwrap()
}

/// What a server does with a question: `None` is silence.
type Answer = fn(&Name, RecordType, &mut Message) -> Option<()>;

fn serve(ip: &str, port: u16, answer: Answer) -> SocketAddr {
    let socket = UdpSocket::bind((ip, port)).unwrap();
    let at = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0u8; 2048];
        while let Ok((n, from)) = socket.recv_from(&mut buffer) {
            let Ok(q) = Message::from_vec(&buffer[..n]) else { continue };
            let mut m = Message::response(q.metadata.id, OpCode::Query);
            m.add_queries(q.queries.clone());
            let asked = &q.queries[0];
            if answer(asked.name(), asked.query_type(), &mut m).is_some() {
                let _ = socket.send_to(&m.to_vec().unwrap(), from);
            }
        }
    });
    at
}

async fn ask(host: &str, resolver: SocketAddr, authority: Option<u16>) -> badgate::situation::probe::Probe {
    let mut ask = Ask::plain(format!("http://{host}:1/").parse().unwrap(), Duration::from_millis(600));
    ask.servers = Servers { resolvers: Some(vec![resolver]), authority_port: authority };
    probe(&ask, &quietly()).await
}

fn loopback(owner: &Name, ttl: u32) -> Record {
    Record::from_rdata(owner.clone(), ttl, RData::A(A(Ipv4Addr::LOCALHOST)))
}

#[tokio::test]
async fn what_does_not_exist_what_fails_and_what_is_silent_are_told_apart() {
    let gone = serve("127.0.0.1", 0, |_, _, m| {
        m.metadata.response_code = ResponseCode::NXDomain;
        Some(())
    });
    let failing = serve("127.0.0.1", 0, |_, _, m| {
        m.metadata.response_code = ResponseCode::ServFail;
        Some(())
    });
    let silent = serve("127.0.0.1", 0, |_, _, _| None);
    for (server, id, code) in [
        (gone, "dns-nxdomain", "NXDOMAIN"),
        (failing, "dns-servfail", "SERVFAIL"),
        (silent, "dns-resolver-silent", "timed out"),
    ] {
        let p = ask("shop.example.com", server, None).await;
        assert!(p.faults.iter().any(|f| f.id == id && f.wrong), "{:?}", p.faults);
        let dns = p.dns.unwrap();
        assert_eq!(dns.answers[0].code, code);
        assert!(!dns.failure.is_empty() && dns.addresses.is_empty());
        assert!(p.connects.is_empty());
    }
}

#[tokio::test]
async fn the_chain_of_names_comes_with_its_times_to_live() {
    let server = serve("127.0.0.1", 0, |n, kind, m| {
        let end = name("node.elb.example.net.");
        if n == &name("shop.example.com.") {
            m.add_answer(Record::from_rdata(n.clone(), 300, RData::CNAME(CNAME(end.clone()))));
        }
        if kind == RecordType::A {
            m.add_answer(loopback(&end, 60));
        }
        Some(())
    });
    let p = ask("shop.example.com", server, None).await;
    let dns = p.dns.unwrap();
    let records: Vec<String> = dns.answers[0]
        .records
        .iter()
        .map(|r| format!("{} {} {} {}", r.name, r.kind, r.value, r.ttl_s))
        .collect();
    assert_eq!(
        records,
        ["shop.example.com. CNAME node.elb.example.net. 300", "node.elb.example.net. A 127.0.0.1 60"]
    );
    assert_eq!(p.connects[0].address, "127.0.0.1:1");
}

#[tokio::test]
async fn a_thousand_records_are_bounded_and_metadata_behind_a_name_is_refused() {
    // They do not fit a datagram: it says so, and they come over TCP.
    let many = serve("127.0.0.1", 0, |_, _, m| {
        m.metadata.truncation = true;
        Some(())
    });
    let listener = TcpListener::bind(many).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut length = [0u8; 2];
                while stream.read_exact(&mut length).is_ok() {
                    let mut question = vec![0u8; usize::from(u16::from_be_bytes(length))];
                    stream.read_exact(&mut question).unwrap();
                    let q = Message::from_vec(&question).unwrap();
                    let mut m = Message::response(q.metadata.id, OpCode::Query);
                    m.add_queries(q.queries.clone());
                    let asked = &q.queries[0];
                    for i in 0..1000u16 {
                        if asked.query_type() == RecordType::A {
                            let [a, b] = i.to_be_bytes();
                            let address = RData::A(A(Ipv4Addr::new(127, 1, a, b)));
                            m.add_answer(Record::from_rdata(asked.name().clone(), 1, address));
                        }
                    }
                    let answer = m.to_vec().unwrap();
                    let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                    stream.write_all(&[&length, answer.as_slice()].concat()).unwrap();
                }
            });
        }
    });
    let p = ask("shop.example.com", many, None).await;
    assert_eq!((p.connects.len(), p.addresses_left), (16, 984));
    assert_eq!((p.dns.as_ref().unwrap().answers[0].records.len(), p.dns.unwrap().answers[0].left), (32, 968));

    let metadata = serve("127.0.0.1", 0, |n, kind, m| {
        if kind == RecordType::A {
            m.add_answer(Record::from_rdata(n.clone(), 1, RData::A(A(Ipv4Addr::new(169, 254, 169, 254)))));
        }
        Some(())
    });
    let p = ask("shop.example.com", metadata, None).await;
    assert!(p.connects.is_empty() && p.exchanges.is_empty());
    assert!(p.faults.iter().any(|f| f.id == "address-refused"), "{:?}", p.faults);
    assert_eq!(badgate::report::probe::exit_code(&p), 2);
}

#[tokio::test]
async fn servers_of_the_zone_are_asked_themselves_and_a_lame_one_is_named() {
    // The resolver: knows the zone, its two servers and their addresses.
    let resolver = serve("127.0.0.1", 0, |n, kind, m| {
        let zone = name("example.com.");
        match kind {
            RecordType::SOA => {
                let at = if zone.zone_of(n) { zone } else { name("com.") };
                let soa = SOA::new(name("ns1.example.com."), name("x."), 1, 1, 1, 1, 1);
                m.add_authority(Record::from_rdata(at, 60, RData::SOA(soa)));
            }
            RecordType::NS if n == &zone => {
                for s in ["ns1.example.com.", "ns2.example.com."] {
                    m.add_answer(Record::from_rdata(zone.clone(), 60, RData::NS(NS(name(s)))));
                }
            }
            RecordType::A => {
                let ip = match n.to_string().as_str() {
                    "ns1.example.com." => Ipv4Addr::new(127, 0, 0, 61),
                    "ns2.example.com." => Ipv4Addr::new(127, 0, 0, 62),
                    _ => Ipv4Addr::LOCALHOST,
                };
                m.add_answer(Record::from_rdata(n.clone(), 30, RData::A(A(ip))));
            }
            _ => {}
        }
        Some(())
    });
    let first = serve("127.0.0.61", 0, |n, kind, m| {
        m.metadata.authoritative = true;
        if kind == RecordType::A {
            m.add_answer(loopback(n, 300));
        }
        Some(())
    });
    serve("127.0.0.62", first.port(), |_, _, m| {
        m.metadata.response_code = ResponseCode::Refused;
        Some(())
    });
    let p = ask("shop.example.com", resolver, Some(first.port())).await;
    let dns = p.dns.unwrap();
    let zone = dns.delegation.unwrap();
    assert_eq!((zone.zone.as_str(), zone.child.len()), ("example.com.", 2));
    let own = dns.answers.iter().find(|a| a.authoritative).unwrap();
    assert_eq!((own.server.as_str(), own.records[0].ttl_s), ("ns1.example.com. 127.0.0.61", 300));
    assert_eq!(zone.lame, ["ns2.example.com. 127.0.0.62"]);
    assert!(p.faults.iter().any(|f| f.id == "dns-lame-delegation"), "{:?}", p.faults);
}
