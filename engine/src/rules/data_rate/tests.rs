use super::shedding::{Close, Holder, Pulse};
use super::watch::{Sample, Watch};
use crate::context::{Connection, Marks};
use crate::directive::Place;
use crate::phases;
use crate::testing::{View, World, refused, set};
use crate::time::Seconds;

/// A client as the kernel sees it.
struct Client {
    connection: Connection,
    watch: Watch,
    sample: Sample,
    close: Option<Close>,
}

impl Client {
    fn of(world: &mut World, address: &str) -> Client {
        let connection = world.connect(address).expect("open");
        let sample = Sample { is_receiving: true, is_sending: true, ..Sample::default() };
        Client { connection, watch: Watch::default(), sample, close: None }
    }

    fn send(&mut self, octets: u64) {
        self.sample.received += octets;
        self.sample.quiet_millis = 0;
    }

    /// The server has written so much that all of the kernel's room is full, always.
    fn fill(&mut self, octets: u32) {
        self.sample.pending = octets;
    }

    fn take(&mut self, octets: u64) {
        self.sample.acknowledged += octets;
    }
}

/// One look, a second after the last.
fn look(world: &mut World, clients: &mut [Client]) -> Vec<String> {
    look_after(world, clients, &mut Pulse::default(), 1000)
}

fn look_after(
    world: &mut World,
    clients: &mut [Client],
    pulse: &mut Pulse,
    millis: u64,
) -> Vec<String> {
    world.wait(millis);
    clients.iter_mut().for_each(|client| client.sample.quiet_millis += millis as u32);
    let mut holders: Vec<Holder<'_>> = clients
        .iter_mut()
        .map(|client| Holder {
            connection: &client.connection,
            watch: &mut client.watch,
            sample: client.sample,
            close: None,
        })
        .collect();
    world.with(|policy, moment, sink| phases::tick(policy, moment, pulse, &mut holders, sink));
    let closes: Vec<Option<Close>> = holders.iter().map(|holder| holder.close).collect();
    for (client, close) in clients.iter_mut().zip(closes) {
        client.close = close;
    }
    world.told()
}

/// Looks once a second, so many times, after `act`.
fn looks(
    world: &mut World,
    clients: &mut [Client],
    count: usize,
    mut act: impl FnMut(&mut [Client]),
) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..count {
        act(clients);
        lines.extend(look(world, clients));
    }
    lines
}

fn nothing(_: &mut [Client]) {}

const RULE: &str = "QS_SrvMinDataRate 120\nQS_SrvSampleRate 3";

#[test]
fn a_silent_connection_is_closed_after_the_interval() {
    let mut world = World::new(RULE);
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    assert!(looks(&mut world, &mut clients, 2, nothing).is_empty());
    let lines = look(&mut world, &mut clients);
    assert_eq!(
        lines,
        [
            "mod_qos(034): access denied, QS_SrvMinDataRate rule (in:0): min=120, this connection=0, c=192.0.2.1"
        ]
    );
    assert_eq!(clients[0].close, Some(Close::ReadHalf));
    assert!(clients[0].connection.marks.has(Marks::SLOW | Marks::CUT_OFF));
    // Still there after another interval: now all of it is closed, and nothing said.
    assert!(looks(&mut world, &mut clients, 3, nothing).is_empty());
    assert_eq!(clients[0].close, Some(Close::Whole));
}

#[test]
fn a_head_is_measured_by_what_came_of_it() {
    for (per_second, line) in [
        (119, Some("(in): min=120, this connection=119, c=2001:db8::1")),
        (120, None),
        (5000, None),
    ] {
        let mut world = World::new(RULE);
        let mut clients = [Client::of(&mut world, "2001:db8::1")];
        let lines = looks(&mut world, &mut clients, 3, |clients| clients[0].send(per_second));
        assert_eq!(lines.len(), usize::from(line.is_some()), "{per_second}: {lines:?}");
        assert!(line.is_none_or(|line| lines[0].ends_with(line)), "{lines:?}");
    }
}

#[test]
fn a_head_that_the_server_does_not_read_is_nobodys_fault() {
    let mut world = World::new(RULE);
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    clients[0].send(10);
    clients[0].sample.unread = 10; // no worker is free
    assert!(looks(&mut world, &mut clients, 10, nothing).len() <= 1);
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    look(&mut world, &mut clients);
    clients[0].send(10);
    clients[0].sample.unread = 10;
    assert!(looks(&mut world, &mut clients, 10, nothing).is_empty());
    clients[0].sample.unread = 0;
    assert_eq!(looks(&mut world, &mut clients, 4, nothing).len(), 1, "now it is waited for");
}

#[test]
fn an_idle_connection_is_not_measured_until_the_next_head_begins() {
    let mut world = World::new(RULE);
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    clients[0].send(100);
    world.request(&clients[0].connection, &mut View::default(), 200);
    assert!(looks(&mut world, &mut clients, 20, nothing).is_empty(), "idle");
    let lines = looks(&mut world, &mut clients, 6, |clients| clients[0].send(1));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("rule (in): min=120, this connection=1, "), "{lines:?}");
}

#[test]
fn a_pipelined_head_and_one_that_an_mpm_saw_are_measured_at_once() {
    let mut world = World::new(RULE);
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    world.request(&clients[0].connection, &mut View::default(), 200);
    clients[0].connection.progress.begin_head();
    assert_eq!(looks(&mut world, &mut clients, 4, nothing).len(), 1);
}

#[test]
fn an_idle_http2_connection_may_send_what_is_no_head() {
    let mut world = World::new(RULE);
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    clients[0].connection.marks.set(Marks::HTTP2);
    world.request(&clients[0].connection, &mut View::default(), 200);
    assert!(looks(&mut world, &mut clients, 20, |clients| clients[0].send(9)).is_empty());
}

#[test]
fn a_worker_that_waits_longer_than_keep_alive_is_freed() {
    let mut world = World::new(RULE);
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    world.request(&clients[0].connection, &mut View::default(), 200);
    clients[0].connection.progress.wait_for_head(Seconds(4));
    assert!(looks(&mut world, &mut clients, 8, nothing).is_empty());
    assert_eq!(
        look(&mut world, &mut clients),
        ["mod_qos(034): access denied, QS_SrvMinDataRate rule (enforce keep-alive), c=192.0.2.1"]
    );
    assert_eq!(clients[0].close, Some(Close::Whole));
}

#[test]
fn a_request_without_a_body_takes_its_time() {
    let mut world = World::new(RULE);
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    world.begin(&clients[0].connection, &mut View::default());
    assert!(looks(&mut world, &mut clients, 20, nothing).is_empty());
}

#[test]
fn a_body_is_measured_only_while_it_is_read() {
    let mut world = World::new(RULE);
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    world.begin(&clients[0].connection, &mut View::default());
    assert!(looks(&mut world, &mut clients, 10, nothing).is_empty(), "the handler is busy");
    clients[0].connection.progress.begin_wait();
    let lines = looks(&mut world, &mut clients, 5, |clients| clients[0].send(50));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("(in): min=120, this connection="), "{lines:?}");

    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    world.begin(&clients[0].connection, &mut View::default());
    clients[0].connection.progress.begin_wait();
    assert!(looks(&mut world, &mut clients, 10, |clients| clients[0].send(200)).is_empty());
    clients[0].connection.progress.end_wait();
    assert!(looks(&mut world, &mut clients, 10, nothing).is_empty());
}

#[test]
fn a_response_is_measured_by_what_the_client_acknowledges() {
    for (per_second, is_slow) in [(0, true), (100, true), (120, false), (90_000, false)] {
        let mut world = World::new(RULE);
        let mut clients = [Client::of(&mut world, "192.0.2.1")];
        world.begin(&clients[0].connection, &mut View::default());
        clients[0].fill(1_000_000);
        let lines = looks(&mut world, &mut clients, 4, |clients| clients[0].take(per_second));
        assert_eq!(lines.len(), usize::from(is_slow), "{per_second}: {lines:?}");
        if is_slow {
            let line = format!("(out): min=120, this connection={per_second}, c=192.0.2.1");
            assert!(lines[0].ends_with(&line), "{lines:?}");
            assert_eq!(clients[0].close, Some(Close::Whole));
        }
    }
}

#[test]
fn a_logged_response_that_still_lies_in_the_kernel_is_measured() {
    let mut world = World::new(RULE);
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    clients[0].fill(100_000);
    world.request(&clients[0].connection, &mut View::default(), 200);
    assert_eq!(looks(&mut world, &mut clients, 4, nothing).len(), 1);
}

#[test]
fn a_backend_that_keeps_the_client_waiting_is_not_the_clients_fault() {
    let mut world = World::new(RULE);
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    world.begin(&clients[0].connection, &mut View::default());
    clients[0].take(500);
    assert!(looks(&mut world, &mut clients, 20, nothing).is_empty());
    // A few octets each second, each on its way for as long: less than the rate, but the client keeps up.
    let lines = looks(&mut world, &mut clients, 20, |clients| {
        clients[0].take(50);
        clients[0].fill(50);
    });
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn who_makes_room_by_the_packet_is_not_slower_than_who_does_by_the_octet() {
    // 8 kB every 8 s are 1000 octets per second, with 7 s of nothing in between.
    let mut world = World::new(RULE);
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    world.begin(&clients[0].connection, &mut View::default());
    clients[0].fill(1_000_000);
    look(&mut world, &mut clients);
    look(&mut world, &mut clients);
    let mut second = 7;
    let lines = looks(&mut world, &mut clients, 60, |clients| {
        second += 1;
        if second % 8 == 0 {
            clients[0].take(8000);
        }
    });
    assert!(lines.is_empty(), "{lines:?}");
    // But it does not live on that for ever.
    assert_eq!(looks(&mut world, &mut clients, 30, nothing).len(), 1);
}

#[test]
fn what_fills_the_clients_buffer_at_first_is_no_reading() {
    let mut world = World::new(RULE);
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    world.begin(&clients[0].connection, &mut View::default());
    clients[0].fill(1_000_000);
    look(&mut world, &mut clients);
    clients[0].take(60_000);
    look(&mut world, &mut clients);
    let lines = looks(&mut world, &mut clients, 5, nothing);
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn the_request_rate_leaves_responses_alone() {
    let mut world = World::new("QS_SrvRequestRate 120\nQS_SrvSampleRate 3");
    let mut clients = [Client::of(&mut world, "192.0.2.1"), Client::of(&mut world, "192.0.2.2")];
    world.begin(&clients[0].connection, &mut View::default());
    clients[0].fill(1_000_000);
    let lines = looks(&mut world, &mut clients, 5, nothing);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("(in:0)") && lines[0].ends_with("c=192.0.2.2"), "{lines:?}");
}

#[test]
fn below_the_threshold_nobody_is_closed_but_everybody_is_marked() {
    let mut world = World::new("QS_SrvMinDataRate 100 1000 3\nQS_SrvSampleRate 3");
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    let lines = looks(&mut world, &mut clients, 3, nothing);
    assert_eq!(
        lines,
        [
            "mod_qos(034): log only (allowed), QS_SrvMinDataRate rule (in:0): min=100, this connection=0, c=192.0.2.1"
        ]
    );
    assert_eq!(clients[0].close, None);
    let marks = &clients[0].connection.marks;
    assert!(marks.has(Marks::SLOW) && !marks.has(Marks::CUT_OFF));
    let _others = [world.connect("192.0.2.2"), world.connect("192.0.2.3")];
    let lines = looks(&mut world, &mut clients, 3, nothing);
    assert!(lines[0].contains("access denied"), "three are open now: {lines:?}");
    assert_eq!(clients[0].close, Some(Close::ReadHalf));
}

#[test]
fn the_rate_rises_with_the_open_connections() {
    let mut world = World::new("QS_SrvMinDataRate 100 1000\nQS_SrvSampleRate 3");
    let _others: Vec<_> = (2..6).map(|n| world.connect(&format!("192.0.2.{n}"))).collect();
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    let lines = looks(&mut world, &mut clients, 3, |clients| clients[0].send(200));
    assert!(lines[0].contains("(in): min=225, this connection=200, "), "5 of 40: {lines:?}");
}

#[test]
fn a_vip_and_an_event_are_let_off_and_the_directive_overrules_the_vip() {
    for (more, is_let_off) in [
        ("", true),
        ("QS_SrvMinDataRateIgnoreVIP off", true),
        ("QS_SrvMinDataRateIgnoreVIP on", false),
    ] {
        let mut world = World::new(&format!("{RULE}\nQS_SrvMaxConnExcludeIP 192.0.2.1\n{more}"));
        let mut clients = [Client::of(&mut world, "192.0.2.1")];
        let lines = looks(&mut world, &mut clients, 3, nothing);
        assert_eq!(lines[0].contains("log only (allowed)"), is_let_off, "{more}");
        assert_eq!(clients[0].close.is_none(), is_let_off);
    }
    let mut world = World::new(RULE);
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    clients[0].connection.marks.set(Marks::VIP);
    let lines = looks(&mut world, &mut clients, 3, nothing);
    assert!(lines[0].contains("log only (allowed)"), "made one by a request on it: {lines:?}");
    let mut world = World::new(&format!("{RULE}\nQS_SrvMinDataRateOffEvent +Slow"));
    for (variable, is_let_off) in [("slow", true), ("other", false)] {
        let mut clients = [Client::of(&mut world, "192.0.2.1")];
        let mut view = View::with(variable, "0");
        world.request(&clients[0].connection, &mut view, 200);
        clients[0].fill(9999);
        let lines = looks(&mut world, &mut clients, 4, nothing);
        assert_eq!(lines[0].contains("log only (allowed)"), is_let_off, "{variable}");
        // The next request is another one.
        world.request(&clients[0].connection, &mut View::default(), 200);
        let lines = looks(&mut world, &mut clients, 4, nothing);
        assert!(lines.iter().all(|line| line.contains("access denied")), "{lines:?}");
    }
}

#[test]
fn an_inner_minus_takes_an_outer_plus_away() {
    for (lines, is_allowed) in [
        (&["+a"][..], true),
        (&["+b"], false),
        (&["+a", "-A"], false),
        (&["-a", "+a"], true),
        (&["-b", "+a"], true),
    ] {
        let place = |place| {
            let mut settings = Default::default();
            let mut location = Default::default();
            for word in lines {
                let line = format!("QS_SrvMinDataRateOffEvent {word}");
                set(&mut settings, &mut location, place, &line).expect(word);
            }
            (settings, location)
        };
        // All in one server; and the first in the server, the others in a location.
        let (server, _) = place(Place::BaseServer);
        let is_set = |events: &[super::OffEvent]| {
            events.iter().any(|event| event.is_added && event.variable.as_bytes() == b"a")
        };
        assert_eq!(is_set(&server.data_rate.off_events), is_allowed, "{lines:?}");
        let (_, location) = place(Place::Location);
        assert_eq!(is_set(&location.data_rate.off_events), is_allowed, "{lines:?}");
    }
    let mut world = World::new(&format!("{RULE}\nQS_SrvMinDataRateOffEvent +a"));
    let connection = world.connect("192.0.2.1").expect("open");
    let mut location = Default::default();
    let line = "QS_SrvMinDataRateOffEvent -a";
    set(&mut Default::default(), &mut location, Place::Location, line).expect(line);
    world.exchange(&connection, &mut View::with("a", ""), |rules, exchange| {
        let location: &crate::rules::LocationSettings = &location;
        super::allow_by_event(&rules.policy.data_rate, Some(&location.data_rate), exchange);
        assert!(!connection.progress.is_allowed());
        super::allow_by_event(&rules.policy.data_rate, None, exchange);
        assert!(connection.progress.is_allowed());
    });
}

#[test]
fn log_only_tells_and_closes_nothing() {
    let mut world = World::new(&format!("{RULE}\nQS_LogOnly on"));
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    let lines = looks(&mut world, &mut clients, 6, nothing);
    assert_eq!(lines.len(), 2, "after each interval: {lines:?}");
    assert!(lines[0].contains("log only (allowed)"), "{lines:?}");
    assert_eq!(clients[0].close, None);
}

#[test]
fn a_connection_is_one_block_event_however_slow_it_is() {
    let mut world = World::new(&format!(
        "{RULE}\nQS_LogOnly on\nQS_ClientEventBlockCount 2 600\nQS_SetEnvIfStatus QS_SrvMinDataRate QS_Block"
    ));
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    assert_eq!(looks(&mut world, &mut clients, 12, nothing).len(), 4);
    let count = |world: &mut World| {
        let connection = world.connect("192.0.2.1").expect("log only");
        let lines = world.told();
        world.close(connection);
        lines.iter().filter(|line| line.contains("060")).count()
    };
    assert_eq!(count(&mut world), 0, "one event of two");
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    looks(&mut world, &mut clients, 3, nothing);
    assert_eq!(count(&mut world), 1, "the second connection is the second event");
}

#[test]
fn the_slowest_go_first_when_workers_run_out() {
    let mut world = World::new("QS_SrvMinDataRate 120 1500 30\nQS_SrvSampleRate 5");
    let mut clients: Vec<Client> =
        (1..=10).map(|n| Client::of(&mut world, &format!("192.0.2.{n}"))).collect();
    let mut pulse = Pulse::default();
    // 36 of 40: workers run out.
    let mut others: Vec<_> =
        (0..26).map(|_| world.connect("198.51.100.1").expect("open")).collect();
    for millis in [500, 250, 125] {
        for (n, client) in clients.iter_mut().enumerate() {
            client.send(n as u64 * 100);
        }
        look_after(&mut world, &mut clients, &mut pulse, millis);
    }
    assert_eq!(pulse.millis(), 125, "looks come faster");
    others.extend((0..4).map(|_| world.connect("198.51.100.1").expect("open")));
    let lines = look_after(&mut world, &mut clients, &mut pulse, 125);
    // All are full; half of those that this child holds may go, and only who is too slow so far.
    let closed: Vec<bool> = clients.iter().map(|client| client.close.is_some()).collect();
    let slowest: Vec<bool> = (0..10).map(|n| n < 5).collect();
    assert_eq!(closed, slowest, "{lines:?}");
    assert!(lines[0].contains("min=1620, this connection=0, c=192.0.2.1"), "{lines:?}");
    drop(others);
}

#[test]
fn a_single_connection_of_a_child_may_go_too() {
    let mut world = World::new("QS_SrvMinDataRate 120\nQS_SrvSampleRate 5");
    let _others: Vec<_> = (0..39).map(|_| world.connect("198.51.100.1").expect("open")).collect();
    let mut clients = [Client::of(&mut world, "192.0.2.1")];
    let mut pulse = Pulse::default();
    let mut waited = 0;
    while clients[0].close.is_none() {
        let millis = pulse.millis();
        look_after(&mut world, &mut clients, &mut pulse, millis);
        waited += millis;
    }
    assert!(waited <= 2000, "{waited}");
}

#[test]
fn a_count_beyond_what_can_be_served_is_counted_and_far_beyond_told_of() {
    for (open, is_told) in [(40, false), (41, false), (168, false), (169, true)] {
        let mut world = World::new("QS_SrvMinDataRate 100 1000\nQS_SrvSampleRate 2");
        let _others: Vec<_> = (1..open).map(|_| world.connect("198.51.100.1")).collect();
        let mut clients = [Client::of(&mut world, "192.0.2.1")];
        let lines = looks(&mut world, &mut clients, 2, nothing);
        assert_eq!(lines.iter().any(|line| line.contains("(036)")), is_told, "{open}");
        let counted = world.with(|_, moment, _| moment.store.totals.of(36));
        assert_eq!(counted > 0, open > 40, "{open}");
        if is_told {
            assert!(
                lines[0].starts_with(
                    "mod_qos(036): QS_SrvMinDataRate: unexpected connection status! connections=169, cal. \
                     request rate=1000, max. limit=1000. Check log for"
                ),
                "{lines:?}"
            );
        }
    }
}

#[test]
fn a_server_without_a_data_rate_keeps_no_count_of_requests() {
    let mut world = World::new("");
    let connection = world.connect("192.0.2.1").expect("open");
    world.request(&connection, &mut View::default(), 200);
    assert!(connection.progress.stretch().is_first());
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (line, part) in [
        ("QS_SrvMinDataRate 0", "'0'"),
        ("QS_SrvMinDataRate 5x", "'5x'"),
        ("QS_SrvMinDataRate -1", "'-1'"),
        ("QS_SrvMinDataRate 100 100", "a number above 100"),
        ("QS_SrvMinDataRate 100 50", "a number above 100"),
        ("QS_SrvMinDataRate 100 1000 0", "'0'"),
        ("QS_SrvMinDataRate 100 1000 all", "'all'"),
        ("QS_SrvMinDataRate 100 1000 80%", "'80%'"),
        ("QS_SrvRequestRate 0", "'0'"),
        ("QS_SrvRequestRate 100 -1", "'-1'"),
        ("QS_SrvRequestRate 100 x", "'x'"),
        ("QS_SrvRequestRate", "''"),
        ("QS_SrvRequestRate 4294967296", "'4294967296'"),
        ("QS_SrvSampleRate 1", "'1'"),
        ("QS_SrvSampleRate 0", "'0'"),
        ("QS_SrvSampleRate -5", "'-5'"),
        ("QS_SrvSampleRate 5s", "'5s'"),
        ("QS_SrvSampleRate 2147483648", "'2147483648'"),
        ("QS_SrvMinDataRateOffEvent VAR", "'VAR'"),
        ("QS_SrvMinDataRateOffEvent +", "'+'"),
        ("QS_SrvMinDataRateOffEvent -", "'-'"),
        ("QS_SrvMinDataRateOffEvent !VAR", "'!VAR'"),
        ("QS_SrvMinDataRateOffEvent \"\"", "''"),
        ("QS_SrvMinDataRateIgnoreVIP", "'on' or 'off'"),
        ("QS_SrvMinDataRateIgnoreVIP yes", "'yes'"),
        ("QS_SrvMinDataRateIgnoreVIP 1", "'1'"),
        ("QS_SrvMinDataRateIgnoreVIP onn", "'onn'"),
        ("QS_SrvMinDataRateIgnoreVIP true", "'true'"),
    ] {
        let error = refused(line);
        assert!(error.contains(part), "{line}: {error}");
    }
    for (first, second) in [
        ("QS_SrvMinDataRate 1", "QS_SrvMinDataRate 1"),
        ("QS_SrvMinDataRate 1", "QS_SrvRequestRate 1"),
        ("QS_SrvRequestRate 1", "QS_SrvMinDataRate 1 2"),
    ] {
        let mut settings = Default::default();
        set(&mut settings, &mut Default::default(), Place::BaseServer, first).expect(first);
        let error = set(&mut settings, &mut Default::default(), Place::BaseServer, second);
        assert!(error.expect_err(second).contains("only one of both"));
    }
    for line in [
        "QS_SrvMinDataRate 120 1500 500",
        "QS_SrvMinDataRate 120 1500",
        "QS_SrvRequestRate 100 50",
        "QS_SrvRequestRate 100 0",
        "QS_SrvDataRateOff",
    ] {
        set(&mut Default::default(), &mut Default::default(), Place::BaseServer, line).expect(line);
    }
}

#[test]
fn only_the_base_server_has_a_rate_and_a_host_may_leave_it() {
    for line in [
        "QS_SrvMinDataRate 1",
        "QS_SrvRequestRate 1",
        "QS_SrvSampleRate 2",
        "QS_SrvMinDataRateIgnoreVIP on",
    ] {
        let result =
            set(&mut Default::default(), &mut Default::default(), Place::VirtualHost, line);
        assert!(result.is_err(), "{line}");
    }
    let base = crate::testing::settings(RULE);
    let mut host = crate::rules::Settings::default();
    set(&mut host, &mut Default::default(), Place::VirtualHost, "QS_SrvDataRateOff").expect("host");
    let capacity = crate::values::Capacity { max_clients: 40, connections: 40 };
    let resolve =
        |settings: &crate::rules::Settings| super::Policy::resolve(&settings.data_rate, capacity);
    assert!(resolve(&base).is_on());
    assert!(!resolve(&host.over(&base)).is_on());
    assert!(resolve(&crate::rules::Settings::default().over(&base)).is_on());
}

#[test]
fn a_threshold_out_of_reach_is_told_of() {
    for (line, unreachable) in [
        ("QS_SrvMinDataRate 120 1500 500", Some(("QS_SrvMinDataRate", 500, 150))),
        ("QS_SrvMinDataRate 120 1500 150", None),
        ("QS_SrvMinDataRate 120 1500", None),
        ("QS_SrvRequestRate 120 1500", None),
    ] {
        let settings = crate::testing::settings(line);
        let capacity = crate::values::Capacity { max_clients: 150, connections: 150 };
        let policy = super::Policy::resolve(&settings.data_rate, capacity);
        let found = policy.unreachable.map(|u| (u.directive, u.threshold, u.possible));
        assert_eq!(found, unreachable, "{line}");
    }
}

#[test]
fn a_block_event_without_its_rules_is_complained_of() {
    let event = "QS_SetEnvIfStatus QS_SrvMinDataRate QS_Block";
    let capacity = crate::values::Capacity { max_clients: 150, connections: 150 };
    for (more, complaints) in [
        ("", 1),
        ("\nQS_SrvMinDataRate 1", 1),
        ("\nQS_ClientEventBlockCount 1", 1),
        ("\nQS_ClientEventBlockCount 1\nQS_SrvRequestRate 1", 0),
    ] {
        let settings = crate::testing::settings(&format!("{event}{more}"));
        let policy = crate::rules::Policy::resolve(&settings, capacity);
        assert_eq!(policy.complaints().count(), complaints, "{more}");
    }
}
