#![allow(clippy::unwrap_used)]

use super::cartpole::CartPole;
use super::gridworld::{GridWorld, Map};
use super::*;
use crate::data::{Call, Value};
use crate::rng::Stream;

fn random() -> Random {
    Random::new(3, Stream::Play, 0)
}

/// The equations of motion before they were solved for the accelerations: forces on cart and
/// pole, and the torque about the hinge of a uniform rod.
///   (M + m) a + m l b cos t - m l w^2 sin t = F
///   a cos t + 4/3 l b = g sin t
fn accelerations([_, _, t, w]: [f64; 4], force: f64) -> (f64, f64) {
    let (cart, pole, length, g) = (1.0, 0.1, 0.5, 9.8);
    let (sin, cos) = (t.sin(), t.cos());
    let rows = [
        [
            cart + pole,
            pole * length * cos,
            force + pole * length * w * w * sin,
        ],
        [cos, 4.0 / 3.0 * length, g * sin],
    ];
    let determinant = rows[0][0] * rows[1][1] - rows[0][1] * rows[1][0];
    (
        (rows[0][2] * rows[1][1] - rows[0][1] * rows[1][2]) / determinant,
        (rows[0][0] * rows[1][2] - rows[0][2] * rows[1][0]) / determinant,
    )
}

#[test]
fn the_pole_moves_by_the_published_equations() {
    let (mut pole, mut random) = (CartPole::default(), random());
    pole.reset(&mut random);
    assert!(pole.state().iter().all(|value| value.abs() <= 0.05));
    let mut expected: [f64; 4] = pole.state().try_into().unwrap();
    // Falls at last, whatever is done: 200 steps go far beyond the limits.
    for step in 0..200 {
        let action = usize::from(step % 3 == 0);
        let outcome = pole.act(action, &mut random);
        let force = if action == 1 { 10.0 } else { -10.0 };
        let (a, b) = accelerations(expected, force);
        let [x, v, t, w] = expected;
        expected = [x + 0.02 * v, v + 0.02 * a, t + 0.02 * w, w + 0.02 * b];
        for (found, expected) in pole.state().iter().zip(expected) {
            let error = (*found - expected).abs() / expected.abs().max(1.0);
            assert!(error < 1e-9, "step {step}: {found}, not {expected}");
        }
        let [x, _, t, _] = expected;
        let fallen = x.abs() > 2.4 || t.abs() > 12_f64.to_radians();
        assert_eq!((outcome.reward, outcome.terminated), (1.0, fallen));
        // Rounding errors would grow.
        expected = pole.state().try_into().unwrap();
    }
}

fn walk(world: &mut GridWorld, actions: &[usize]) -> (Vec<f32>, Outcome) {
    let mut random = random();
    world.reset(&mut random);
    let mut cells = Vec::new();
    let mut last = None;
    for &action in actions {
        last = Some(world.act(action, &mut random));
        let mut seen = [0.0];
        world.observe(&mut seen);
        cells.push(seen[0]);
    }
    (cells, last.unwrap())
}

#[test]
fn a_grid_is_walked_until_its_goal_or_a_hole() {
    let mut world = GridWorld::new(Map::standard(), 0.0, 0.04);
    let (up, right, down, left) = (0, 1, 2, 3);
    // The edge and the wall are in the way.
    let (cells, last) = walk(&mut world, &[down, left, right, up, up]);
    assert_eq!(cells, [8.0, 8.0, 9.0, 9.0, 9.0]);
    assert_eq!((last.reward, last.terminated), (-0.04, false));
    let (cells, last) = walk(&mut world, &[up, up, right, right, right]);
    assert_eq!(cells, [4.0, 0.0, 1.0, 2.0, 3.0]);
    assert_eq!((last.reward, last.terminated), (1.0 - 0.04, true));
    let (cells, last) = walk(&mut world, &[right, right, right, up]);
    assert_eq!(cells, [9.0, 10.0, 11.0, 7.0]);
    assert_eq!((last.reward, last.terminated), (-1.0 - 0.04, true));
}

#[test]
fn who_slips_goes_to_either_side() {
    const MOVES: usize = 20_000;
    let map = Map::of("./S/.").unwrap();
    let mut random = random();
    let mut world = GridWorld::new(map, 0.2, 0.0);
    let mut counts = [0; 3];
    for _ in 0..MOVES {
        world.reset(&mut random);
        // To the left is the edge: only slips move.
        world.act(3, &mut random);
        counts[world.state()[0] as usize] += 1;
    }
    for (count, share) in counts.into_iter().zip([0.1, 0.8, 0.1]) {
        let mean = MOVES as f64 * share;
        let deviation = (mean * (1.0 - share)).sqrt();
        let off = (f64::from(count) - mean).abs();
        assert!(off < 4.0 * deviation, "{counts:?}");
    }
}

fn cartpole(arguments: &[(&str, Value)]) -> Call {
    let call = Call::new("cartpole");
    let arguments = arguments.iter().cloned();
    arguments.fold(call, |call, (name, value)| call.with(name, value))
}

#[test]
fn what_makes_no_sense_is_refused() {
    let fault = |call: &Call| World::of(call).unwrap_err().to_string();
    let map = |text: &str| Call::new("gridworld").with("map", Value::String(text.into()));
    for (call, expected) in [
        (
            cartpole(&[("replay", Value::Int(100))]),
            "`warmup` is 1000, but only 100",
        ),
        (
            cartpole(&[("discount", Value::Float(1.5))]),
            "`discount` must lie between 0 and 1",
        ),
        (
            cartpole(&[("environments", Value::Int(0))]),
            "must lie between 1 and",
        ),
        (
            cartpole(&[("limit", Value::Int(1 << 20))]),
            "`episodes` times `limit`",
        ),
        (cartpole(&[("length", Value::Int(1))]), "takes no `length`"),
        (map("S./..."), "`map` must have equally long rows"),
        (map("..S/S.."), "`map` must have one start S, but has 2"),
        (map("S.X"), "`map` has `X`"),
    ] {
        let fault = fault(&call);
        assert!(fault.contains(expected), "{fault}");
    }
}

/// Any actions, each its own.
fn actions(player: &Player) -> Vec<i32> {
    let mut random = Random::new(9, Stream::Policy, player.rounds());
    (0..player.seats())
        .map(|_| random.below(2) as i32)
        .collect()
}

fn numbers(split: &crate::data::Split, column: usize) -> Vec<f32> {
    match &split.columns()[column].values {
        crate::data::Values::Floats(values, _) => values.to_vec(),
        crate::data::Values::Classes(values) => values.iter().map(|&v| v as f32).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn returns_are_sums_of_what_comes_after() {
    let world = World::of(&cartpole(&[
        ("environments", Value::Int(3)),
        ("discount", Value::Float(0.5)),
    ]));
    let mut player = Player::learning(&world.unwrap(), 64, 5);
    while !player.is_ready(64) {
        player.act(&actions(&player));
    }
    let split = player.split();
    let (ends, returns) = (numbers(&split, 4), numbers(&split, 5));
    assert!(ends.len() >= 64 && ends[ends.len() - 1] == 1.0);
    // All rewards are 1, so that a return is 2 - 2^-(actions after it).
    let mut after = 0;
    for (end, found) in ends.iter().zip(&returns).rev() {
        after = if *end == 1.0 { 0 } else { after + 1 };
        assert_eq!(*found, 2.0 - 0.5_f32.powi(after));
    }
    let episodes = ends.iter().sum::<f32>();
    assert_eq!(player.mean_return(), Some(ends.len() as f32 / episodes));
    // What was learnt from is gone.
    player.choose(64, 1);
    player.learnt();
    assert_eq!(numbers(&player.split(), 5), returns[64..]);
}

#[test]
fn a_full_memory_forgets_the_oldest() {
    let world = |capacity| {
        World::of(&cartpole(&[
            ("environments", Value::Int(2)),
            ("replay", Value::Int(capacity)),
            ("warmup", Value::Int(0)),
        ]))
    };
    let mut all = Player::learning(&world(1000).unwrap(), 8, 5);
    let mut few = Player::learning(&world(7).unwrap(), 8, 5);
    for _ in 0..40 {
        all.act(&actions(&all));
        few.act(&actions(&few));
    }
    for column in 0..5 {
        let (all, few) = (numbers(&all.split(), column), numbers(&few.split(), column));
        assert_eq!(few, all[all.len() / 80 * 73..], "column {column}");
    }
}

#[test]
fn who_goes_on_plays_as_if_there_had_been_no_break() {
    for replay in [0, 50] {
        let call = cartpole(&[
            ("environments", Value::Int(3)),
            ("replay", Value::Int(replay)),
            ("warmup", Value::Int(0)),
        ]);
        let world = World::of(&call).unwrap();
        let player = || Player::learning(&world, 32, 5);
        let mut whole = player();
        let play = |player: &mut Player, rounds| {
            for _ in 0..rounds {
                player.act(&actions(player));
            }
        };
        play(&mut whole, 45);
        let mut other = player();
        other.restore(&whole.save());
        play(&mut whole, 45);
        play(&mut other, 45);
        assert!(whole.save() == other.save(), "replay {replay}");
        assert!(whole.save() != player().save());
    }
}

#[test]
fn a_test_plays_each_episode_once() {
    let world = World::of(&cartpole(&[
        ("episodes", Value::Int(20)),
        ("limit", Value::Int(15)),
    ]))
    .unwrap();
    let mut player = Player::tested(&world, 5);
    for _ in 0..15 {
        player.act(&actions(&player));
    }
    assert!(player.is_over());
    let rewards = numbers(&player.split(), 2);
    let mean = rewards.iter().sum::<f32>() / 20.0;
    assert_eq!(player.mean_return(), Some(mean));
    let cut = 20.0 - numbers(&player.split(), 4).iter().sum::<f32>();
    assert!(cut > 0.0 && cut < 20.0, "{cut} episodes were cut");
}
