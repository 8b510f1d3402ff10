//! Every phrase the checks speak in, with its placeholders. Each becomes a
//! method of [`Words`], so a phrase that is misspelt, lacks a value or is said
//! by nobody does not pass the compiler; loading holds the files to this list.

use super::load::Words;
use crate::text::SafeText;
use std::fmt::Display;

macro_rules! phrases {
    ($($name:ident($($slot:ident),*);)*) => {
        /// Phrase ids and their placeholders.
        pub(crate) const PHRASES: &[(&str, &[&str])] = &[$((stringify!($name), &[$(stringify!($slot)),*])),*];

        #[allow(clippy::too_many_arguments, reason = "one argument for each placeholder")]
        impl Words {
            $(
                pub(crate) fn $name(&self, $($slot: impl Display),*) -> SafeText {
                    self.fill(stringify!($name), &[$((stringify!($slot), &$slot as &dyn Display)),*])
                }
            )*
        }
    };
}

phrases! {
    // shared
    unknown(what, reason);
    stale(what, at, reason);
    topic_of(topic, subject);
    and_more(list, more);
    by_hand(count);
    noted(by, at, lines);
    remote(host, by);
    reason_not_asked();
    reason_denied(action);
    reason_throttled(until);
    reason_credentials(detail);
    reason_timed_out(seconds);
    reason_offline(detail);
    reason_not_found(what);
    reason_malformed(detail);
    reason_failed(detail);
    reason_not_applicable(why);
    reason_needs_measuring(how);
    reason_not_told();
    reason_by_hand();
    reason_no_traffic(since);
    reason_no_log_group();
    reason_silent(since);
    reason_dropped(count);
    reason_only_newest(count);
    reason_sampled();
    reason_not_listed();
    reason_hc_off();
    reason_no_legs();
    reason_no_chain();
    reason_no_incident();
    reason_one_look();
    reason_see_step_4();
    what_scope();
    what_onset();
    what_instance(id);
    what_load();
    what_log_lines();
    what_older_lines();
    what_lines_of(log);
    what_paths();
    what_leg(leg, what);
    what_connection_errors();
    what_hc_times(group);
    what_health_of(group);
    what_timeouts();
    what_rule(id, rule);
    what_rules(count);
    what_certificate(certificate, port);
    what_idle_timeout();
    what_access_logs();
    what_target_5xx();
    what_latency();
    what_changes();
    what_live_tail();
    what_incident();
    // step 0, prepare
    target_account(account, region);
    target_none(asked);
    target_is(name, kind, scheme, dns, zones);
    target_active(name);
    target_state(name, state, why);
    onset_at(at, before, level);
    onset_over(at);
    onset_unclear(count, since);
    onset_none(since);
    onset_health(target, state, at);
    onset_log(at, line);
    scope_by_lb(codes, share);
    scope_by_target(count, share);
    scope_none(requests, since);
    scope_one_zone(zone, share);
    scope_zones(list);
    affected_empty(group);
    affected_none(group, count);
    affected_group(group, bad, count, list);
    affected_zone(group, zone);
    affected_routes(group, list);
    // step 1, resources
    instance_state(id, state, why);
    instance_young(id, at);
    instances_running(group, count);
    instances_none();
    tasks_none(group);
    service_short(service, running, desired, pending);
    service_full(service, running);
    tasks_memory(service, count);
    tasks_exec(service, command);
    tasks_no_exec(service);
    load_peak(metric, subject, value, at);
    pasted_disk(by, mount, percent);
    pasted_inodes(by, mount, percent);
    pasted_memory(by, available, total);
    pasted_swap(by, used, total);
    pasted_load(by, load, cores);
    pasted_line(by, server, line);
    // step 2, logs
    tail_live();
    tail_sampled();
    tail_polled();
    tail_file();
    logs_followed(log, mode);
    logs_not_followed(list);
    pattern(server, count, first, last, causes, line);
    patterns_none(lines, since);
    lines_counted(lines, since, errors, five);
    container_unlogged(container, definition);
    lb_log_on(log, place);
    lb_log_off(log);
    // step 3, network
    leg_clients();
    leg_traffic();
    leg_health();
    leg_both();
    leg_blocked(leg, why, targets);
    leg_partly(leg, why, targets);
    leg_open(list);
    leg_not_applicable(leg, why);
    reasons_none(group);
    reasons_group(group, reason, count, targets, meaning);
    health_timeout(seconds);
    health_failed();
    health_codes(description);
    health_not_in_use();
    health_invalid_state();
    health_not_registered();
    health_ip_unusable();
    health_draining();
    health_disabled();
    health_initial();
    health_internal();
    health_other(detail);
    connection_errors(count, since);
    connection_errors_none(since);
    zone_not_enabled(group, zone);
    zone_empty(group, zone);
    zone_unhealthy(group, zone);
    zones_fit(zones);
    // step 4, settings
    hc_is(group, protocol, path, port, codes, timeout, interval, healthy, unhealthy);
    hc_off(group);
    hc_overlap(group, timeout, interval);
    hc_fits(group, timeout, interval);
    hc_blind(group, seconds);
    hc_codes(group, count, path, codes, description);
    routing_no_target(group);
    routing_all_unused(group);
    routing_fail_open(group, count);
    routing_none_yet(group);
    routing_healthy_only(group, healthy, count);
    routing_open_count(count, since);
    rule_violated(id, rule, why);
    rule_at_risk(id, rule, why);
    rules_hold(list);
    rule_r_one();
    rule_r_two();
    rule_r_three();
    rule_r_four();
    rule_r_five();
    rule_r_six();
    rule_r_seven();
    rule_r_eight();
    rule_r_nine();
    rule_r_ten();
    rule_r_eleven();
    listener_none();
    listener_is(port, protocol, certificates, actions);
    listener_no_certificate(port);
    rules_counted(port, count);
    rule_default();
    rule_no_weight(port, rule);
    rule_fixed_5xx(port, rule, status);
    group_unused(group);
    groups_all_used(count);
    certificates_none();
    attr_idle(seconds);
    attr_desync(mode);
    attr_desync_strictest();
    attr_drops_headers();
    attr_access_logs_on();
    attr_access_logs_off();
    attr_delay(group, seconds);
    attr_no_delay(group);
    attr_cross_zone(group, value);
    attr_cross_zone_off(group);
    attr_slow_start(group, seconds);
    attr_sticky(group);
    // step 5, application
    target_5xx(count, since);
    target_5xx_none(since);
    error_lines(count, first, last, line);
    error_kinds_more(count);
    error_lines_none(lines, since);
    latency_at_idle(stat, seconds, at, idle);
    latency_below(stat, seconds, at, idle);
    latency_is(stat, seconds, at);
    deployment_failed(service, version, why);
    deployment_running(service, version, running, desired, failed);
    deployment_at_onset(service, version, at, onset);
    deployment_recent(service, version, at);
    deployments_quiet(service);
    service_event(service, at, message);
    release_at_onset(what, at, onset);
    path_change(what, at);
    path_change_near(what, at, onset);
    path_changes_none();
    record_sets(text);
    web_acl_is(name, rules, default);
    store_is(name, status);
    store_ill(name, status);
    traces_none();
    traces_end_in(count, all, what);
    traces_blame_nobody(count, all);
    reason_more_traces();
    stops_none(service);
    stops_more(count);
    task_stopped(task, at, why, exits);
    changes_none();
    change_seen(what, at);
    instances_launched(since, list);
    // step 6, deep dive
    tail_is_live(log, newest);
    tail_is_file(log, newest);
    tail_is_sampled(log, newest);
    tail_is_polled(log, newest, why);
    tls_none();
    probe_answer(url, status, by, ms);
    probe_by_nobody();
    probe_said(text);
    probe_verified(address, version);
    probe_kept(address, seconds, by);
    probe_kept_longer(address, seconds);
    probe_closes_each(address);
    host_fine(host, load, memory, disk);
    host_disk(host, mount, percent);
    host_inodes(host, mount, percent);
    host_memory(host, available, total);
    host_swap(host, used, total);
    host_load(host, load, cores);
    host_pressure(host, what, share);
    host_kernel(host, line);
    host_unit(host, unit);
    host_clock(host, seconds);
    host_answer(host, what);
    hosts_differ(what, list);
    host_queue(host, port, queued, backlog);
    host_counter(host, name, count);
    host_close_wait(host, count);
    host_conntrack(host, used, most);
    host_setting(host, server, name, value, place);
    host_logs(host, count);
    host_no_logs(host);
    host_nobody(host, port);
    host_loopback(host, port);
    host_listens(host, port, process);
    host_firewall(host, rule);
    host_firewall_other(host, count);
    // step 7, record
    incident_is(file, opened, notes, marks, observations);
    incident_trouble(file, why);
    incident_no_notes();
    steps_ran(list);
    steps_all();
    steps_left(list);
    delivery_on(log);
    delivery_off(log);
    // key 8, emergency
    capacity(group, healthy, count);
    rules_rest_hold(count);
    remove_none(group);
    remove_last(group);
    remove_leaves(group, count, healthy);
    rollback_elsewhere(group);
    rollback_to(service, now, before);
    rollback_unknown(service, now);
    scale_service(service, running, desired);
    // key 9, prevention
    spread_lb(name, zones);
    spread_lb_one(name, zones);
    spread_group(group, healthy, zones);
    code_tag(name, key, value);
    code_none(name);
}
