use super::*;

#[test]
fn paths_lose_what_differs_from_request_to_request() {
    for (path, want) in [
        ("/api/v1/orders/48213", "/api/v1/orders/*"),
        ("/api/v2/cart", "/api/v2/cart"),
        ("/orders/7", "/orders/*"),
        ("/assets/app.93214.js", "/assets/app.*.js"),
        ("/u/6f1c2d3e-4b5a-6978-8a9b-0c1d2e3f4a5b/x", "/u/*/x"),
        ("/img/1.webp", "/img/*.webp"),
        ("/deadbeef", "/deadbeef"),
        ("/face/beef1234", "/face/beef*"),
        ("/", "/"),
    ] {
        let mut out = Vec::new();
        template(path.as_bytes(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), want, "{path}");
    }
}

#[test]
fn clients_are_counted_by_network() {
    for (client, want) in [
        ("203.0.113.9", "203.0.113.0/24"),
        ("2001:db8:1:2::9", "2001:db8:1::/48"),
        ("-", ""),
        ("x.y", "x.0/24"),
    ] {
        let mut out = Vec::new();
        network(client.as_bytes(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), want);
    }
}
