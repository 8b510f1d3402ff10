use super::*;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::Name;
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME};
use std::net::Ipv4Addr;
use tokio::net::UdpSocket;

/// A name server on loopback that knows one zone; asks for other names are
/// answered "no such name", and `silent.example` never.
async fn server() -> u16 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((n, peer)) = socket.recv_from(&mut buffer).await {
            let ask = Message::from_vec(&buffer[..n]).unwrap();
            let query = ask.queries[0].clone();
            let name = query.name().to_string().to_ascii_lowercase();
            if name == "silent.example." {
                continue;
            }
            let n = |s: &str| s.parse::<Name>().unwrap();
            let alias = |from: &str, to: &str| Record::from_rdata(n(from), 60, RData::CNAME(CNAME(n(to))));
            let chain = vec![
                alias("www.shop.example.", "Shop.Example."),
                alias("shop.example.", "dualstack.Shop-1.eu-west-1.elb.amazonaws.com."),
            ];
            let last = n("dualstack.shop-1.eu-west-1.elb.amazonaws.com.");
            let a = |s: &str| RData::A(A(s.parse().unwrap()));
            let answers = match (name.as_str(), query.query_type()) {
                ("www.shop.example.", RecordType::A) => {
                    let mut all = chain;
                    all.push(Record::from_rdata(last.clone(), 60, a("203.0.113.7")));
                    all.push(Record::from_rdata(last, 60, a("203.0.113.8")));
                    Some(all)
                }
                ("www.shop.example.", RecordType::AAAA) => {
                    let mut all = chain;
                    let v6 = RData::AAAA(AAAA("2001:db8::7".parse().unwrap()));
                    all.push(Record::from_rdata(last, 60, v6));
                    Some(all)
                }
                ("four.example.", RecordType::A) => {
                    Some(vec![Record::from_rdata(n("four.example."), 60, a("10.0.0.4"))])
                }
                ("four.example." | "empty.example.", _) => Some(Vec::new()),
                _ => None,
            };
            let mut reply = match answers {
                None => Message::error_msg(ask.metadata.id, OpCode::Query, ResponseCode::NXDomain),
                Some(answers) => {
                    let mut reply = Message::response(ask.metadata.id, OpCode::Query);
                    reply.add_answers(answers);
                    reply
                }
            };
            reply.add_query(query);
            socket.send_to(&reply.to_vec().unwrap(), peer).await.unwrap();
        }
    });
    port
}

async fn names(overrides: &[&str]) -> Names {
    let mut connection = ConnectionConfig::udp();
    connection.port = server().await;
    let server = NameServerConfig::new(Ipv4Addr::LOCALHOST.into(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().use_hosts_file = ResolveHosts::Never;
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    Names::new(&overrides, builder.build().map_err(|e| e.to_string())).unwrap()
}

fn host(name: &str) -> Host {
    Host::Name(name.into())
}

#[tokio::test]
async fn follows_the_chain_of_names_to_its_addresses() {
    let got = names(&[]).await.resolve(&host("www.shop.example"), None).await.unwrap();
    assert_eq!(got.names, ["shop.example", "dualstack.shop-1.eu-west-1.elb.amazonaws.com"]);
    let want: Vec<IpAddr> =
        ["203.0.113.7", "203.0.113.8", "2001:db8::7"].iter().map(|a| a.parse().unwrap()).collect();
    assert_eq!(got.addresses, want);
}

#[tokio::test]
async fn one_family_of_addresses_is_enough() {
    let got = names(&[]).await.resolve(&host("four.example"), None).await.unwrap();
    assert_eq!(got.addresses, ["10.0.0.4".parse::<IpAddr>().unwrap()]);
}

#[tokio::test]
async fn a_name_that_is_not_there_is_told_from_one_without_address() {
    let names = names(&[]).await;
    let gone = names.resolve(&host("gone.example"), None).await.unwrap_err();
    assert!(gone.phrase().contains("no such name"), "{}", gone.phrase());
    let empty = names.resolve(&host("empty.example"), None).await.unwrap_err();
    assert!(empty.phrase().contains("has none"), "{}", empty.phrase());
}

#[tokio::test]
async fn overrides_come_first_as_with_curl() {
    let names = names(&[
        "shop.example:443:10.0.0.1",
        "shop.example:8080:10.0.0.2,10.0.0.3",
        "*:9000:[2001:db8::9]",
        "any.example:*:10.0.0.5",
        "SHOUT.example.:80:10.0.0.6",
    ])
    .await;
    let table = [
        ("shop.example", None, vec!["10.0.0.1"]),
        ("shop.example", Some(443), vec!["10.0.0.1"]),
        ("shop.example", Some(8080), vec!["10.0.0.2", "10.0.0.3"]),
        ("whatever.example", Some(9000), vec!["2001:db8::9"]),
        ("any.example", Some(1234), vec!["10.0.0.5"]),
        ("any.example", None, vec!["10.0.0.5"]),
        ("shout.example", None, vec!["10.0.0.6"]),
    ];
    for (name, port, want) in table {
        let got = names.resolve(&host(name), port).await.unwrap();
        let want: Vec<IpAddr> = want.iter().map(|a| a.parse().unwrap()).collect();
        assert_eq!(got.addresses, want, "{name} {port:?}");
    }
    assert!(names.resolve(&host("gone.example"), Some(443)).await.is_err());
    let address = Host::Address("192.0.2.1".parse().unwrap());
    assert_eq!(names.resolve(&address, None).await.unwrap().addresses.len(), 1);
}

#[test]
fn overrides_that_cannot_be_read_are_refused() {
    for bad in [
        "",
        "shop.example",
        "shop.example:443",
        "shop.example:x:10.0.0.1",
        ":443:10.0.0.1",
        "a:443:b",
        "[::1:443:10.0.0.1",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
    let v6 = read("[2001:db8::1]:443:10.0.0.1").unwrap();
    assert_eq!(v6.host.as_deref(), Some("2001:db8::1"));
}
