use crate::context::KeepAlive;
use crate::testing::{View, World};
use crate::time::Seconds;

fn served(configuration: &str, view: View) -> (View, Vec<String>) {
    let mut world = World::new(configuration);
    let connection = world.connect("127.0.0.1").expect("free");
    let mut view = view;
    world.request(&connection, &mut view, 200);
    world.close(connection);
    (view, world.told())
}

#[test]
fn a_connection_is_kept_as_its_request_asks() {
    for (timeout, max, expected) in [
        (Some("3"), None, KeepAlive { timeout: Some(3), max: None }),
        (Some("3s"), Some("0"), KeepAlive { timeout: Some(3), max: Some(0) }),
        (None, Some("7"), KeepAlive { timeout: None, max: Some(7) }),
        (Some("x"), Some("-1"), KeepAlive::default()),
    ] {
        let mut view = View::default();
        for (name, value) in [("QS_KeepAliveTimeout", timeout), ("QS_MaxKeepAliveRequests", max)] {
            if let Some(value) = value {
                view = view.and(name, value);
            }
        }
        let (view, _) = served("", view);
        assert_eq!(view.kept, expected);
        assert_eq!(view.letters(), if expected == KeepAlive::default() { "" } else { "T" });
    }
}

#[test]
fn a_wish_that_cannot_be_met_is_told_of_once() {
    let (view, lines) = served("", View::with("QS_KeepAliveTimeout", "9"));
    assert_eq!(view.letters(), "");
    assert_eq!(
        lines,
        [
            "mod_qos(037): loaded MPM is 'event' and the QS_KeepAliveTimeout/QS_MaxKeepAliveRequests \
          directives can't be used."
        ],
        "though it is looked at in the request and in the response"
    );
}

#[test]
fn the_server_waits_as_long_as_the_request_says() {
    assert_eq!(served("", View::with("QS_Timeout", "2")).0.waits, Some(Seconds(2)));
    for value in ["0", "x", "", "-1"] {
        assert_eq!(served("", View::with("QS_Timeout", value)).0.waits, None, "{value:?}");
    }
}

#[test]
fn log_only_mode_changes_no_connection() {
    let view = View::with("QS_Timeout", "2").and("QS_KeepAliveTimeout", "2");
    let (view, _) = served("QS_LogOnly on", view);
    assert_eq!((view.waits, view.kept), (None, KeepAlive::default()));
}

#[test]
fn packets_are_marked_with_what_six_bits_hold() {
    for (value, expected) in
        [("0", Some(0)), ("63", Some(63)), ("64", None), ("-1", None), ("x", None)]
    {
        let (view, lines) = served("", View::with("QS_Set_DSCP", value));
        assert_eq!(view.dscp, expected, "{value}");
        assert_eq!(lines.is_empty(), expected.is_some(), "{value}");
        if expected.is_none() {
            let line = format!(
                "mod_qos(038): DSCP, failed to set socket options, QS_Set_DSCP={value}, socket=yes, \
                 rc=-2, id=ID"
            );
            assert_eq!(lines, [line]);
        }
    }
}

#[test]
fn variables_that_nobody_can_set_are_not_asked_for() {
    let mut world = World::new("");
    world.policy.connection_variable.bind(&|_| false);
    assert!(!world.policy.connection_variable.wants_response());
    let connection = world.connect("127.0.0.1").expect("free");
    let mut view = View::with("QS_Timeout", "2").and("QS_Set_DSCP", "2");
    world.request(&connection, &mut view, 200);
    assert_eq!((view.waits, view.dscp), (None, None));
    world.close(connection);
}
