//! The helpers the other tests stand on: the HTTP fake and the terminal.
mod support;

use std::io::ErrorKind;
use std::time::Duration;

use portable_pty::CommandBuilder;
use rustix::process::Signal;
use support::{Answer, Fake, Pty, eventually, http};

fn call(fake: &Fake, action: &str) -> std::io::Result<http::Reply> {
    let headers = [
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/eu-west-1/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature=00",
        ),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    http::request(
        &fake.endpoint,
        "POST",
        "/",
        &headers,
        format!("Action={action}&Version=2016-11-15").as_bytes(),
    )
}

#[test]
fn the_fake_answers_by_operation_and_remembers() {
    let fake = Fake::start();
    fake.on("DescribeVpcs", Answer::xml("<ok/>").header("x-more", "1")).on("*", Answer::throttled("ec2"));
    let reply = call(&fake, "DescribeVpcs").expect("an answer");
    assert_eq!((reply.status, &*reply.text(), reply.header("x-more")), (200, "<ok/>", Some("1")));
    assert_eq!(call(&fake, "DescribeSubnets").expect("an answer").status, 503);
    let json = [("x-amz-target", "Logs_20140328.DescribeLogGroups")];
    http::request(&fake.endpoint, "POST", "/", &json, b"{}").expect("an answer");
    let cbor = "/service/GraniteServiceVersion20100801/operation/GetMetricData";
    http::request(&fake.endpoint, "POST", cbor, &[], b"\xa0").expect("an answer");

    let seen = fake.requests();
    let names: Vec<&str> = seen.iter().map(|s| s.operation.as_str()).collect();
    assert_eq!(names, ["DescribeVpcs", "DescribeSubnets", "DescribeLogGroups", "GetMetricData"]);
    assert_eq!(seen[0].signed_scope(), Some(("AKIATEST".into(), "eu-west-1".into(), "ec2".into())));
    assert_eq!(seen[0].signed_headers(), ["host", "x-amz-date"]);
    assert_eq!(seen[2].signed_scope(), None, "it was not signed");
    assert_eq!(fake.requests_of("DescribeVpcs").len(), 1);
}

#[test]
fn the_fake_says_so_when_it_was_not_told() {
    let fake = Fake::start();
    let reply = call(&fake, "DescribeVpcs").expect("an answer");
    assert_eq!(reply.status, 501);
    assert!(reply.text().contains("no answer for DescribeVpcs"));
}

#[test]
fn later_rules_hold_for_their_time() {
    let fake = Fake::start();
    fake.on("DescribeVpcs", Answer::xml("<well/>")).on_times("DescribeVpcs", 2, Answer::expired("ec2"));
    let status = || call(&fake, "DescribeVpcs").expect("an answer").status;
    assert_eq!([status(), status(), status()], [400, 400, 200]);
}

#[test]
fn the_fake_breaks_lines() {
    let fake = Fake::start();
    fake.on("Half", Answer::xml("0123456789").half())
        .on("Cut", Answer::xml("0123456789").truncated())
        .on("Drop", Answer::dropped())
        .on("Reset", Answer::reset())
        .on("Late", Answer::xml("late").after(Duration::from_millis(30)));
    let half = call(&fake, "Half").expect("half an answer");
    assert_eq!((half.whole, &*half.text()), (false, "01234"));
    let cut = call(&fake, "Cut").expect("an answer");
    assert_eq!((cut.whole, &*cut.text()), (true, "01234"));
    assert_eq!(call(&fake, "Drop").unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(call(&fake, "Reset").unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(call(&fake, "Late").expect("an answer").text(), "late");
}

#[test]
fn the_fake_hangs_on_one_connection_and_serves_another() {
    let fake = Fake::start();
    fake.on("Hang", Answer::hang()).on("*", Answer::xml("<ok/>"));
    let mut stuck = http::connect(&fake.endpoint).expect("a connection");
    stuck.set_read_timeout(Some(Duration::from_millis(100))).expect("a deadline");
    http::send(&mut stuck, "POST", "/", &[], b"Action=Hang").expect("sent");
    let error = http::read_reply(&mut stuck).unwrap_err().kind();
    assert!(matches!(error, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error:?}");
    assert_eq!(call(&fake, "DescribeVpcs").expect("an answer").status, 200);
}

#[test]
fn the_fake_keeps_connections_open() {
    let fake = Fake::start();
    fake.on("*", Answer::json("{}")).on("Last", Answer::json("{}").then_close());
    let mut stream = http::connect(&fake.endpoint).expect("a connection");
    for action in ["One", "Two", "Last"] {
        http::send(&mut stream, "POST", "/", &[], format!("Action={action}").as_bytes()).expect("sent");
        assert_eq!(http::read_reply(&mut stream).expect("an answer").status, 200);
    }
    assert!(fake.requests().iter().all(|s| s.connection == 1));
    assert_eq!(http::read_reply(&mut stream).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    let endpoint = fake.endpoint.clone();
    drop(fake);
    eventually("the port to be free", || http::connect(&endpoint).is_err().then_some(()));
}

fn sh(script: &str) -> CommandBuilder {
    let mut command = CommandBuilder::new("sh");
    command.args(["-c", script]);
    command
}

#[test]
fn a_terminal_shows_and_takes_text() {
    let mut pty = Pty::spawn(sh("printf 'name? '; read x; printf 'hello %s\\n' \"$x\"; exit 3"), 80, 24);
    pty.wait_for_text("name?");
    pty.send("yui\r");
    pty.wait_for_text("hello yui");
    assert!(!pty.wait_exit().success());
    assert!(!pty.running());
    assert!(pty.written() > 0 && http::find(&pty.raw(), b"hello yui").is_some());
}

#[test]
fn cells_have_colours_and_places() {
    let mut pty = Pty::spawn(sh("printf '\\033[2J\\033[5;10H\\033[31mred\\033[0m'; read x"), 80, 24);
    pty.wait_for_text("red");
    let colour = pty.with_screen(|s| s.cell(4, 9).map(|c| (c.contents().to_owned(), c.fgcolor())));
    assert_eq!(colour, Some(("r".into(), vt100::Color::Idx(1))));
    assert!(pty.running());
}

#[test]
fn waiting_for_what_cannot_come_ends_at_once_with_the_screen() {
    let pty = Pty::spawn(sh("echo something else"), 80, 24);
    let failure = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pty.wait_for_text("never")));
    let text = failure.unwrap_err().downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(text.contains("the program ended") && text.contains("|something else"), "{text}");
}

#[test]
fn a_resize_reaches_the_program() {
    let mut pty = Pty::spawn(sh("trap 'stty size' WINCH; echo ready; while :; do sleep 0.02; done"), 80, 24);
    pty.wait_for_text("ready");
    pty.resize(100, 30);
    pty.wait_for_text("30 100");
    pty.resize(1, 1);
    pty.wait_for_bytes("the smallest size", |raw| http::find(raw, b"1 1").is_some());
    pty.resize(200, 50);
    pty.wait_for_text("50 200");
    pty.signal(Signal::KILL);
    assert_eq!(pty.wait_exit().signal(), Some("Killed"));
}

#[test]
fn a_terminal_of_one_cell_stands() {
    let mut pty = Pty::spawn(
        sh("stty size; printf 'wide: \\344\\270\\226\\347\\225\\214 \\033[9999;9999Hx\\033[3A'; read x"),
        1,
        1,
    );
    pty.wait_for_bytes("its size and the end of its words", |raw| http::find(raw, b"\x1b[3A").is_some());
    assert!(http::find(&pty.raw(), b"1 1").is_some());
    pty.send("\r");
    pty.wait_exit();
    pty.screen();
}

#[test]
fn a_closed_terminal_hangs_up_and_types_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("typed");
    let script = format!("trap '' HUP; echo ready; cat >'{0}'; echo over >>'{0}'", file.display());
    let mut pty = Pty::spawn(sh(&script), 80, 24);
    pty.wait_for_text("ready");
    assert!(pty.running());
    pty.close_master();
    pty.wait_exit();
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), "over\n");

    let mut pty = Pty::spawn(sh("echo ready; while :; do sleep 0.02; done"), 80, 24);
    pty.wait_for_text("ready");
    pty.close_master();
    assert_eq!(pty.wait_exit().signal(), Some("Hangup"));
}

#[test]
fn a_chatty_program_can_be_closed_and_dropped() {
    let mut pty =
        Pty::spawn(sh("trap '' HUP; while echo more and more and more; do :; done; sleep 600"), 80, 24);
    pty.wait_for_text("more and more");
    pty.close_master();
    let pid = pty.pid();
    drop(pty);
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
    assert!(rustix::process::test_kill_process(pid).is_err(), "dropping a terminal ends its program");
}
