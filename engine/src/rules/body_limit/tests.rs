use super::Layer;
use crate::context::BodyLength;
use crate::phases::{self, Rules};
use crate::rules::{Facts, LocationSettings};
use crate::testing::{View, World, refused};
use crate::verdict::Answer;

fn body(length: BodyLength) -> View {
    View { body: length, ..View::default() }
}

fn answer(world: &mut World, view: &mut View) -> Answer {
    let connection = world.connect("127.0.0.1").expect("free");
    let (answer, _) = world.begin(&connection, view);
    world.close(connection);
    answer
}

#[test]
fn a_body_of_known_length_is_held_to_the_limit() {
    let mut world = World::new("QS_LimitRequestBody 100");
    for (length, expected) in [
        (BodyLength::None, Answer::Pass),
        (BodyLength::Known(100), Answer::Pass),
        (BodyLength::Unknown, Answer::Pass),
        (BodyLength::Known(101), Answer::Deny(413)),
        (BodyLength::Known(u64::MAX), Answer::Deny(413)),
        (BodyLength::Invalid, Answer::Deny(413)),
    ] {
        assert_eq!(answer(&mut world, &mut body(length)), expected, "{length:?}");
    }
    assert_eq!(
        world.told(),
        [
            "mod_qos(044): access denied, QS_LimitRequestBody: max=100 this=101, c=127.0.0.1, id=ID",
            "mod_qos(044): access denied, QS_LimitRequestBody: max=100 this=18446744073709551615, \
             c=127.0.0.1, id=ID",
            "mod_qos(044): access denied, QS_LimitRequestBody: invalid content-length header, \
             c=127.0.0.1, id=ID",
        ]
    );
}

#[test]
fn the_variable_has_precedence_where_it_is_a_number() {
    let mut world = World::new("QS_LimitRequestBody 100");
    for (value, length, expected) in [
        ("200", 150, Answer::Pass),
        ("200", 201, Answer::Deny(413)),
        ("50", 51, Answer::Deny(413)),
        ("0", 1, Answer::Deny(413)),
        ("x", 100, Answer::Pass),
        ("10k", 101, Answer::Deny(413)),
        ("-1", 100, Answer::Pass),
    ] {
        let mut view = body(BodyLength::Known(length)).and("QS_LimitRequestBody", value);
        assert_eq!(answer(&mut world, &mut view), expected, "{value} for {length}");
    }
    assert!(world.told().iter().any(|line| line.starts_with("mod_qos(314)")));
    let mut without = World::new("");
    let mut view = body(BodyLength::Known(9)).and("QS_LimitRequestBody", "8");
    assert_eq!(answer(&mut without, &mut view), Answer::Deny(413), "no directive is needed");
}

#[test]
fn a_location_has_precedence_over_its_server() {
    let mut world = World::new("QS_LimitRequestBody 100");
    let connection = world.connect("127.0.0.1").expect("free");
    let mut location = LocationSettings::default();
    location.body_limit.max = Some(10);
    let mut view = body(BodyLength::Known(11));
    let answer = world.exchange(&connection, &mut view, |rules, exchange| {
        let rules = Rules { location: Some(&location), ..rules };
        phases::prepare(rules, exchange, &mut Facts::default())
    });
    assert_eq!(answer, Answer::Deny(413));
    assert_eq!(view.letters(), "D");
    assert_eq!(view.text("QS_ErrorNotes"), Some("044"));
    world.close(connection);
}

#[test]
fn a_body_of_unknown_length_is_counted_and_told_of_once() {
    for (mode, expected) in [("", Answer::Deny(413)), ("QS_LogOnly on", Answer::Pass)] {
        let mut world = World::new(&format!("QS_LimitRequestBody 100\n{mode}"));
        let connection = world.connect("127.0.0.1").expect("free");
        let mut view = body(BodyLength::Unknown).and_header("Content-Encoding", "gzip");
        let (answer, mut facts) = world.begin(&connection, &mut view);
        assert_eq!(answer, Answer::Pass);
        let answers = world.exchange(&connection, &mut view, |rules, exchange| {
            let watched = super::watched(exchange, &mut facts.body_limit);
            assert!(watched.sent && watched.unpacked);
            [(Layer::Sent, 60), (Layer::Unpacked, 70), (Layer::Unpacked, 30), (Layer::Sent, 41)]
                .map(|(layer, count)| phases::receive(rules, exchange, &mut facts, layer, count))
        });
        assert_eq!(answers, [Answer::Pass, Answer::Pass, Answer::Pass, expected]);
        assert_eq!(super::is_refused(&facts.body_limit), expected != Answer::Pass);
        let more = world.exchange(&connection, &mut view, |rules, exchange| {
            phases::receive(rules, exchange, &mut facts, Layer::Sent, 1000)
        });
        assert_eq!(more, Answer::Pass, "it is told of once");
        assert_eq!(world.told().len(), 1, "{mode}");
        let overruled = super::overruled(&mut facts.body_limit, 400);
        assert_eq!(overruled.is_some(), expected != Answer::Pass);
        assert_eq!(super::overruled(&mut facts.body_limit, 400), None, "its page is let through");
        world.close(connection);
    }
}

#[test]
fn a_body_that_needs_no_watching_is_not_watched() {
    for (configuration, length, is_packed, expected) in [
        ("QS_LimitRequestBody 100", BodyLength::Known(5), false, false),
        ("QS_LimitRequestBody 100", BodyLength::None, true, false),
        ("QS_LimitRequestBody 100", BodyLength::Known(5), true, true),
        ("", BodyLength::Unknown, true, false),
    ] {
        let mut world = World::new(configuration);
        let connection = world.connect("127.0.0.1").expect("free");
        let mut view = body(length);
        if is_packed {
            view = view.and_header("Content-Encoding", "gzip");
        }
        let (_, mut facts) = world.begin(&connection, &mut view);
        world.exchange(&connection, &mut view, |_, exchange| {
            let watched = super::watched(exchange, &mut facts.body_limit);
            assert_eq!(watched.sent || watched.unpacked, expected, "{configuration} {length:?}");
        });
        world.close(connection);
    }
}

#[test]
fn a_limit_is_a_number_of_octets() {
    for word in ["x", "10k", "-5", "9223372036854775808", "1.5", "\"\"", "0x10"] {
        let error = refused(&format!("QS_LimitRequestBody {word}"));
        assert!(error.contains("a whole number of octets from 0"), "{error}");
    }
}
