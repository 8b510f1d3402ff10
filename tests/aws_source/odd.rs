//! What is odd about an account: origins elsewhere, functions that are gone,
//! changes under way, lists without end, certificates of another region. Each
//! is named in one line, with what could still be seen.

use super::support::{Answer, Fake, Lab};
use super::{Watcher, once, place, runtime};
use badgate::diagnosis::hops::{self, Hop, Status};
use badgate::situation::Reason;
use badgate::sources::Options;
use badgate::sources::aws::Aws;
use badgate::sources::aws::ask::edge;
use badgate::text::SafeText;
use serde_json::json;
use tokio::sync::mpsc;

const EDGE: &str = "E1A2B3C4D5E6F7";
const FN: &str = "arn:aws:lambda:us-east-1:123456789012:function:orders";
const API: &str = "a1b2c3d4e5";

fn strip(w: &Watcher) -> Vec<Hop> {
    hops::strip(&w.s, &[])
}

fn hop<'a>(all: &'a [Hop], word: &str) -> &'a Hop {
    all.iter().find(|h| h.kind.word() == word).unwrap_or_else(|| panic!("no {word} among {all:?}"))
}

/// A distribution with one origin; everything else is refused.
fn distribution(fake: &Fake, origin: &str, status: &str) {
    fake.on("*", Answer::query_error(403, "AccessDenied", "not authorized"));
    let config = format!(
        "<DistributionConfig><Enabled>true</Enabled><Origins><Quantity>1</Quantity><Items><Origin><Id>main</Id><DomainName>{origin}</DomainName>\
         <CustomOriginConfig><HTTPPort>80</HTTPPort><HTTPSPort>443</HTTPSPort><OriginProtocolPolicy>https-only</OriginProtocolPolicy></CustomOriginConfig></Origin></Items></Origins>\
         <DefaultCacheBehavior><TargetOriginId>main</TargetOriginId></DefaultCacheBehavior></DistributionConfig>"
    );
    fake.on(&format!("GET /2020-05-31/distribution/{EDGE}/config"), Answer::xml(&config));
    let whole = format!(
        "<Distribution><Id>{EDGE}</Id><ARN>arn:aws:cloudfront::123456789012:distribution/{EDGE}</ARN><Status>{status}</Status><DomainName>d111.cloudfront.net</DomainName>{config}</Distribution>"
    );
    fake.on(&format!("GET /2020-05-31/distribution/{EDGE}"), Answer::xml(&whole));
}

#[test]
fn an_origin_of_another_account_ends_the_path_and_is_named() {
    let fake = Fake::start();
    distribution(&fake, "shop-1234567890.eu-west-1.elb.amazonaws.com", "Deployed");
    let mut w = Watcher::open_at(&fake.endpoint, EDGE, once());
    w.whole_picture();
    let all = strip(&w);
    let origin = hop(&all, "alb");
    assert_eq!(
        (origin.status, origin.name.as_str()),
        (Status::Unknown, "shop-1234567890.eu-west-1.elb.amazonaws.com")
    );
    assert!(origin.why.contains("--profile"), "{}", origin.why);
    let known = w.s.fronts.distributions.values().next().and_then(|d| d.value());
    assert!(known.is_some_and(|d| d.origins.len() == 1), "the distribution is known all the same: {known:?}");
}

#[test]
fn a_distribution_that_is_being_deployed_says_so() {
    for (status, want) in [("InProgress", true), ("Deployed", false)] {
        let fake = Fake::start();
        distribution(&fake, "www.example.net", status);
        let mut w = Watcher::open_at(&fake.endpoint, EDGE, once());
        w.whole_picture();
        let all = strip(&w);
        let edge = hop(&all, "cdn");
        assert_eq!(edge.why.contains("being deployed"), want, "{status}: {}", edge.why);
        assert!(!all.iter().any(|h| h.kind.word() == "alb"), "an origin elsewhere is none of AWS's: {all:?}");
    }
}

/// A REST API with these resources; everything else is not there.
fn api(fake: &Fake, pages: usize, each: usize) {
    fake.on("*", Answer::json_error(404, "ResourceNotFoundException", "Function not found"));
    let base = format!("GET /restapis/{API}");
    let uri = format!("arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{FN}/invocations");
    let get = json!({ "httpMethod": "GET", "methodIntegration": { "type": "AWS_PROXY", "uri": uri } });
    for n in 0..pages {
        let items: Vec<_> = (0..each)
            .map(|i| json!({ "id": format!("r{n}x{i}"), "path": format!("/{n}/{i}"), "resourceMethods": { "GET": get } }))
            .collect();
        let mut page = json!({ "item": items });
        if n + 1 < pages {
            page["position"] = json!(format!("p{}", n + 1));
        }
        let position = if n == 0 { String::new() } else { format!("&position=p{n}") };
        fake.on(
            &format!("{base}/resources?embed=methods&limit=500{position}"),
            Answer::json(&page.to_string()),
        );
    }
    fake.on(&base, Answer::json(&json!({ "id": API, "name": "orders" }).to_string()));
    let stages = json!({ "item": [{ "stageName": "prod", "deploymentId": "d1" }] });
    fake.on(&format!("{base}/stages"), Answer::json(&stages.to_string()));
    fake.on("GET /vpclinks?limit=500", Answer::json(r#"{"item":[]}"#));
}

#[test]
fn a_function_that_is_gone_behind_a_live_integration_is_named() {
    let fake = Fake::start();
    api(&fake, 1, 1);
    let mut w = Watcher::open_at(&fake.endpoint, API, once());
    w.whole_picture();
    let all = strip(&w);
    let f = hop(&all, "lambda");
    assert_eq!((f.status, f.name.as_str(), f.word.as_str()), (Status::Bad, "orders", "not there"));
    let known = w.s.fronts.apis.values().next().and_then(|d| d.value()).expect("the API");
    assert_eq!((known.integrations.len(), known.stages.len()), (1, 1));
}

#[test]
fn an_api_of_many_resources_is_read_to_its_end_or_says_where_it_stopped() {
    for (pages, read, cut) in [(1, 500, false), (2, 1000, false), (3, 1000, true)] {
        let fake = Fake::start();
        api(&fake, pages, 500);
        let mut w = Watcher::open_at(&fake.endpoint, API, once());
        w.whole_picture();
        let known = w.s.fronts.apis.values().next().and_then(|d| d.value()).expect("the API");
        assert_eq!(known.integrations.len(), read);
        let said: Vec<String> =
            known.gaps.iter().map(|(what, why)| format!("{what}: {}", why.phrase())).collect();
        assert_eq!(
            said.iter().any(|l| l.contains("integrations") && l.contains("first 1000")),
            cut,
            "{said:?}"
        );
        assert!(
            fake.requests().iter().filter(|r| r.operation.contains("/functions/")).count() < 10,
            "one function, however many methods"
        );
    }
}

#[test]
fn a_zone_of_ten_thousand_records_is_asked_for_one_name() {
    let fake = Fake::start();
    let zones = "<ListHostedZonesResponse><HostedZones><HostedZone><Id>/hostedzone/Z1</Id><Name>example.com.</Name><ResourceRecordSetCount>10000</ResourceRecordSetCount></HostedZone></HostedZones><IsTruncated>false</IsTruncated></ListHostedZonesResponse>";
    fake.on("GET /2013-04-01/hostedzone", Answer::xml(zones));
    let one = |name: &str| {
        format!(
            "<ResourceRecordSet><Name>{name}.</Name><Type>CNAME</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>lb.example.net</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>"
        )
    };
    let others: String = (0..19).map(|n| one(&format!("shop{n}.example.com"))).collect();
    let page = format!(
        "<ListResourceRecordSetsResponse><ResourceRecordSets>{}{others}</ResourceRecordSets><IsTruncated>true</IsTruncated><NextRecordName>shop9.example.com.</NextRecordName><MaxItems>20</MaxItems></ListResourceRecordSetsResponse>",
        one("shop.example.com")
    );
    fake.on("*", Answer::xml(&page));
    fake.on("GET /2013-04-01/hostedzone?maxitems=100", Answer::xml(zones));
    let runtime = runtime();
    let (calls, _) = mpsc::channel(64);
    let aws = runtime.block_on(Aws::load_at(Some(place(&fake.endpoint)), once(), calls)).unwrap();
    let got = runtime.block_on(edge::records(&aws, &["shop.example.com".into()]));
    let (_, Ok(found)) = &got[0] else { panic!("{got:?}") };
    assert_eq!((found.zone.as_str(), found.records.len()), ("example.com", 1), "{found:?}");
    let asked: Vec<String> =
        fake.requests().into_iter().map(|r| r.operation).filter(|o| o.contains("rrset")).collect();
    assert_eq!(asked.len(), 1, "one question, not one for every page: {asked:?}");
    assert!(asked[0].contains("name=shop.example.com"), "{asked:?}");
}

#[test]
fn a_certificate_is_asked_for_in_the_region_it_is_of_and_missed_by_name() {
    let far = "arn:aws:acm:eu-west-1:123456789012:certificate/00000000-0000-0000-0000-000000000001";
    let fake = Fake::start();
    distribution(&fake, "www.example.net", "Deployed");
    let config = format!("GET /2020-05-31/distribution/{EDGE}/config");
    fake.on(
        &config,
        Answer::xml(&format!(
            "<DistributionConfig><Enabled>true</Enabled><ViewerCertificate><ACMCertificateArn>{far}</ACMCertificateArn></ViewerCertificate></DistributionConfig>"
        )),
    );
    fake.on("DescribeCertificate", Answer::json_error(400, "ResourceNotFoundException", "there is none"));
    let mut w = Watcher::open_at(&fake.endpoint, EDGE, once());
    w.whole_picture();
    let asked = fake.requests_of("DescribeCertificate");
    assert!(
        !asked.is_empty() && asked.iter().all(|r| r.signed_scope().unwrap().1 == "eu-west-1"),
        "where its ARN says"
    );
    let gap = w.s.certificates.get(&SafeText::from(far)).and_then(|d| d.why_unknown());
    assert!(matches!(&gap, Some(Reason::NotFound { .. })), "{gap:?}");
    assert!(
        w.s.fronts.distributions.values().next().is_some_and(|d| d.value().is_some()),
        "the rest is seen"
    );
}

#[test]
fn a_name_that_leads_to_nothing_of_this_account_is_one_line() {
    let lab = Lab::start("shop");
    let options = Options { resolve: vec!["www.elsewhere.test:443:203.0.113.77".into()], ..once() };
    let mut w = Watcher::open(&lab, "https://www.elsewhere.test/", options);
    let line = w.until("a line", |w| w.no_target.first().cloned());
    assert!(
        line.contains("www.elsewhere.test") && line.contains("203.0.113.77") && !line.contains('\n'),
        "{line}"
    );
    assert!(line.contains("account"), "it says where it was looked for: {line}");
}
