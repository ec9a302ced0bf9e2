use super::*;
use crate::context::Connection;
use crate::store::layout::{Layout, PrivateMemory, ServerLimits};
use crate::testing::{View, World};
use crate::verdict::Answer;

#[derive(Default)]
struct Notebook {
    pictures: Vec<String>,
    reported: Vec<String>,
}

impl Hands for Notebook {
    fn save(&mut self, picture: &str) -> Option<String> {
        self.pictures.push(picture.to_owned());
        Some("/saved".to_owned())
    }

    fn report(&mut self, address: Address) {
        self.reported.push(address.to_string());
    }
}

/// A server, its watch, and what the watch did.
struct Guarded {
    world: World,
    notes: Notebook,
}

impl Guarded {
    fn new(lines: &str) -> Guarded {
        let world = World::new(lines);
        Guarded { world, notes: Notebook::default() }
    }

    fn hold(&mut self, address: &str, count: usize) -> Vec<Connection> {
        (0..count).map(|_| self.world.connect(address).expect("let in")).collect()
    }

    fn look(&mut self) {
        let Guarded { world, notes } = self;
        let workers = Workers { max_clients: 40, ..Workers::default() };
        world.with(|policy, moment, sink| {
            watch(&[policy], moment, &workers, notes, sink);
        });
    }
}

#[test]
fn who_holds_the_server_is_told_of_and_blocked() {
    let mut server = Guarded::new("QS_SrvBusyWatch 10 5");
    let held = server.hold("192.0.2.1", 9);
    server.look();
    assert_eq!(server.world.told(), [""; 0], "not busy yet");
    let good = server.hold("198.51.100.1", 1);
    server.look();
    server.look();
    let expected = [
        "mod_qos(312): QS_SrvBusyWatch: busy=10, threshold=10, addresses=1, networks=0, file=/saved",
        "mod_qos(310): access denied, QS_SrvBusyWatch rule: max=5, current=9, c=192.0.2.1",
    ];
    assert_eq!(server.world.told(), expected);
    assert_eq!(server.notes.reported, ["192.0.2.1"]);
    assert_eq!(server.notes.pictures.len(), 1);
    assert!(server.notes.pictures[0].contains("\n192.0.2.1 9\n198.51.100.1 1\n"));
    assert!(server.world.connect("192.0.2.1").is_none(), "new connections are refused");
    let heard = &mut Heard::default();
    let news: Vec<bool> =
        (0..5).map(|_| server.world.with(|_, moment, _| heard.news(moment))).collect();
    assert_eq!(news, [true, true, true, false, false]);
    server.world.with(|policy, moment, _| {
        let ended = held.iter().filter(|connection| ends(policy, moment, connection)).count();
        assert_eq!((ended, ends(policy, moment, &good[0])), (9, false));
        assert!(!ends(policy, moment, &held[0]), "once");
    });
    assert_ne!(server.world.request(&held[0], &mut View::default(), 200), Answer::Pass);
    assert_eq!(server.world.request(&good[0], &mut View::default(), 200), Answer::Pass);
    server.world.wait(600_000);
    assert!(server.world.connect("192.0.2.1").is_some(), "for ten minutes");
}

#[test]
fn the_block_lasts_as_long_as_that_of_events_and_begins_again_while_it_is_busy() {
    let mut server = Guarded::new("QS_SrvBusyWatch 5 5\nQS_ClientEventBlockCount 3 60");
    let _held = server.hold("192.0.2.1", 5);
    server.look();
    server.world.wait(59_000);
    assert!(server.world.connect("192.0.2.1").is_none());
    server.world.wait(1_000);
    server.look();
    assert!(server.world.connect("192.0.2.1").is_none());
    let told = server.world.told();
    let once = told.iter().filter(|line| line.starts_with("mod_qos(310)")).count();
    assert_eq!(once, 1, "{told:?}");
}

#[test]
fn a_network_is_blocked_as_a_whole() {
    let mut server = Guarded::new("QS_SrvBusyWatch 6 5 6\nQS_SrvMaxConnExcludeIP 192.0.2.99");
    let _held: Vec<_> = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
        .iter()
        .flat_map(|who| server.hold(who, 2))
        .collect();
    server.look();
    let expected = [
        "mod_qos(312): QS_SrvBusyWatch: busy=6, threshold=6, addresses=0, networks=1, file=/saved",
        "mod_qos(311): access denied, QS_SrvBusyWatch rule: max=6, current=6, net=192.0.2.0/24",
    ];
    assert_eq!(server.world.told(), expected);
    assert_eq!(server.notes.reported, ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    for (who, is_refused) in
        [("192.0.2.1", true), ("192.0.2.200", true), ("192.0.2.99", false), ("192.0.3.1", false)]
    {
        assert_eq!(server.world.connect(who).is_none(), is_refused, "{who}");
    }
}

#[test]
fn an_ipv6_address_is_counted_whole_and_blocked_with_its_prefix() {
    let mut server = Guarded::new("QS_SrvBusyWatch 8 5");
    let _spread: Vec<_> =
        (1..=4).flat_map(|n| server.hold(&format!("2001:db8:1::{n}"), 1)).collect();
    let _held = server.hold("2001:db8:2::1", 5);
    server.look();
    assert!(server.world.told()[1].ends_with("current=5, c=2001:db8:2::1"));
    assert!(server.world.connect("2001:db8:2::77").is_none());
    assert!(server.world.connect("2001:db8:1::1").is_some());
}

#[test]
fn who_is_exempt_is_no_offender() {
    for list in ["QS_ClientEventBlockExcludeIP 192.0.2.", "QS_SrvMaxConnExcludeIP 192.0.2.0/24"] {
        let mut server = Guarded::new(&format!("QS_SrvBusyWatch 8 5 8\n{list}"));
        let _held = [server.hold("192.0.2.1", 6), server.hold("192.0.2.2", 6)];
        server.look();
        assert_eq!(server.world.told().len(), 1, "{list}: only that it is busy");
        assert!(server.notes.reported.is_empty());
        assert!(server.notes.pictures[0].contains("192.0.2.1 6"), "the picture has them all");
        assert!(server.world.connect("192.0.2.1").is_some(), "{list}");
    }
}

#[test]
fn log_only_logs_and_does_nothing_else() {
    let mut server = Guarded::new("QS_SrvBusyWatch 8 5 8\nQS_LogOnly on");
    let _held = [server.hold("192.0.2.1", 6), server.hold("192.0.2.2", 6)];
    server.look();
    let told = server.world.told();
    assert_eq!(told.len(), 4);
    let first =
        "mod_qos(310): access denied (log only), QS_SrvBusyWatch rule: max=5, current=6, c=";
    assert!(told[1].starts_with(first), "{told:?}");
    assert!(told[3].starts_with("mod_qos(311): access denied (log only), "), "{told:?}");
    assert!(server.notes.reported.is_empty());
    server.world.lines.clear();
    assert!(server.world.connect("192.0.2.1").is_some());
    assert_eq!(server.world.told(), [""; 0], "nor is it told of a block");
}

/// What a helper process that has just been started does: it knows nothing but what lies in shared memory.
fn look_with_new_eyes(server: &mut Guarded) -> (Vec<String>, Notebook) {
    server.world.lines.clear();
    server.notes = Notebook::default();
    server.look();
    (server.world.told(), core::mem::take(&mut server.notes))
}

#[test]
fn an_episode_outlives_the_process_that_watches() {
    let mut server = Guarded::new("QS_SrvBusyWatch 8 4 8");
    let _alone = server.hold("203.0.113.1", 5);
    let _network = [server.hold("192.0.2.1", 4), server.hold("192.0.2.2", 4)];
    server.look();
    assert_eq!(server.world.told().len(), 1 + 3 + 1, "busy, three addresses, a network");
    assert_eq!(server.notes.reported.len(), 3, "none of them twice");
    let (told, notes) = look_with_new_eyes(&mut server);
    assert_eq!((told.len(), notes.reported.len(), notes.pictures.len()), (0, 0, 0));
    let acts = server.world.with(|_, moment, _| moment.store.networks.acts());
    assert_eq!(acts, 1, "who is blocked is not blocked again");
    // Who comes later is new, and whose block has ended is blocked again, in silence.
    server.world.wait(2_000);
    let _later = server.hold("198.51.100.7", 4);
    let (told, notes) = look_with_new_eyes(&mut server);
    assert_eq!((told.len(), notes.reported), (1, vec!["198.51.100.7".to_owned()]));
    server.world.wait(100_000);
    look_with_new_eyes(&mut server);
    server.world.wait(100_000);
    let (told, _) = look_with_new_eyes(&mut server);
    assert_eq!(told.len(), 0, "{told:?}");
}

#[test]
fn who_was_only_logged_is_told_of_again_when_it_is_blocked() {
    let mut server = Guarded::new("QS_SrvBusyWatch 8 4\nQS_LogOnly on");
    let _held = server.hold("192.0.2.1", 8);
    server.look();
    server.world.restart("QS_SrvBusyWatch 8 4", 2);
    let (told, notes) = look_with_new_eyes(&mut server);
    assert!(told[0].starts_with("mod_qos(310): access denied, "), "{told:?}");
    assert_eq!((told.len(), notes.reported.len(), notes.pictures.len()), (1, 1, 0));
}

#[test]
fn more_networks_than_can_be_blocked_are_blocked_by_their_addresses() {
    let mut server = Guarded::new("QS_SrvBusyWatch 8 4 2");
    let hosts = (0..300u32).flat_map(|n| (1..=2).map(move |host| (n, host)));
    let who = |(n, host): (u32, u32)| format!("10.{}.{}.{host}", n / 200, n % 200);
    let held: Vec<Connection> =
        hosts.map(|host| server.world.connect(&who(host)).expect("let in")).collect();
    server.look();
    let count = server.world.with(|_, moment, _| moment.store.networks.all(moment.now).len());
    assert_eq!(count, networks::NETWORKS);
    server.world.with(|policy, moment, _| {
        assert!(held.iter().all(|connection| ends(policy, moment, connection)));
    });
    let acts = server.world.with(|_, moment, _| moment.store.networks.acts());
    server.world.wait(1_000);
    server.look();
    let (later, now) = server.world.with(|_, moment, _| {
        (moment.store.networks.acts(), moment.store.networks.all(moment.now).len())
    });
    assert_eq!((later, now), (acts, count), "none of them takes another one's room");
}

/// Each of them is an offender twice over: by himself, and with his network.
#[test]
#[allow(clippy::disallowed_methods)] // how long it takes is what is asked
fn hundreds_of_thousands_of_offenders_are_dealt_with_in_a_moment() {
    let limits = ServerLimits { children: 75, threads: 500, idle_per_thread: 1 };
    let mut layout = Layout::new(limits, 640);
    // Only as many columns as the test needs: private memory is memory at once.
    layout.columns = 1;
    let memory = PrivateMemory::new(layout);
    let child = World::store(&memory).children.enter(7);
    let world = World::new("QS_SrvBusyWatch 1000 1 100");
    let mut server =
        Guarded { world: World { memory, child, ..world }, notes: Notebook::default() };
    let count = 250_000u32;
    let who = |n: u32| format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255);
    let held: Vec<Connection> =
        (0..count).map(|n| server.world.connect(&who(n)).expect("let in")).collect();
    let mut spans = Vec::new();
    for _ in 0..2 {
        let begin = std::time::Instant::now();
        server.look();
        spans.push(begin.elapsed());
        server.world.wait(1_000);
    }
    assert_eq!(server.notes.reported.len(), count as usize, "once each");
    assert!(server.notes.pictures[0].len() < 16 << 20);
    server.world.with(|policy, moment, _| {
        assert!(held.iter().all(|connection| ends(policy, moment, connection)));
    });
    eprintln!("{spans:?} for two looks at {count} offenders");
    // A fraction of a second; the bound is for machines that do much else.
    assert!(spans.iter().all(|span| span.as_secs() < 10), "{spans:?}");
}
