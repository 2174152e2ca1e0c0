//! Models that play: they learn to, on any number of threads in the same way, and go on
//! where they were stopped.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

mod support;
#[path = "support/programs.rs"]
mod programs;

use nnc_compiler::target::Target;
use nnc_runtime::Machine;
use nnc_runtime::play::World;
use nnc_runtime::program::InputKind;
use nnc_runtime::train::{CHECKPOINT, Ending, METRICS, WEIGHTS};
use nnc_runtime::train::{Phase, Plan, Programs, Start, evaluate, train};
use programs::Compiled;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use support::catalogue::calls;

const DQN: &str = include_str!("../models/cartpole_dqn.nn");
const PG: &str = include_str!("../models/cartpole_pg.nn");
const GRID: &str = include_str!("../models/gridworld.nn");

static GO_ON: AtomicBool = AtomicBool::new(false);

struct Game {
    model: Compiled,
    world: World,
}

impl Game {
    /// A model with some of its text replaced.
    fn new(text: &str, changes: &[(&str, &str)]) -> Game {
        let mut text = text.to_owned();
        for (old, new) in changes {
            assert!(text.contains(old), "{old}");
            text = text.replace(old, new);
        }
        let model = Compiled::new(&text, Target::host());
        let world = World::of_pipeline(&calls(&model.experiment.pipeline));
        let world = world.unwrap().unwrap();
        Game { model, world }
    }

    fn plan(&self) -> Plan<'static> {
        Plan {
            batch: self.model.experiment.batch,
            epochs: self.model.experiment.epochs,
            steps: None,
            seed: self.model.experiment.seed,
            threads: 1,
            directory: None,
            start: Start::Fresh,
            early: None,
            stop: &GO_ON,
        }
    }

    /// The mean return of the test's episodes.
    fn learns(&self) -> f32 {
        let outcome = train(&self.model, &self.world, &self.plan(), &mut ()).unwrap();
        let test = outcome.test.unwrap();
        let (name, mean) = test.last().unwrap();
        assert_eq!(name, "return");
        eprintln!("{}: {mean}", self.model.experiment.net);
        *mean
    }

    /// What a run leaves behind, byte by byte.
    fn files(&self, plan: &Plan<'_>) -> [Vec<u8>; 3] {
        let directory = tempfile::tempdir().unwrap();
        let plan = Plan {
            directory: Some(directory.path().to_path_buf()),
            ..plan.clone()
        };
        train(&self.model, &self.world, &plan, &mut ()).unwrap();
        read(directory.path())
    }
}

const FILES: [&str; 3] = [WEIGHTS, CHECKPOINT, METRICS];

fn read(directory: &Path) -> [Vec<u8>; 3] {
    FILES.map(|name| fs::read(directory.join(name)).unwrap())
}

#[track_caller]
fn assert_same(found: &[Vec<u8>; 3], expected: &[Vec<u8>; 3], what: &str) {
    for (i, name) in FILES.iter().enumerate() {
        assert!(found[i] == expected[i], "{name} of {what}");
    }
}

#[test]
fn a_pole_is_kept_upright_by_policy_gradient() {
    let game = Game::new(PG, &[("epochs = 5", "epochs = 3")]);
    assert!(game.learns() >= 195.0);
}

#[test]
fn a_pole_is_kept_upright_by_q_learning() {
    // Less than half of the model's steps; who pushes at random reaches about 22.
    let game = Game::new(DQN, &[("epochs    = 10", "epochs    = 4")]);
    assert!(game.learns() >= 100.0);
}

/// The best there is returns 0.705 on average; of a thousand episodes, whose returns deviate
/// by less than 0.7, the mean lies within 0.09.
#[test]
fn a_grid_is_walked_as_well_as_can_be() {
    let mean = Game::new(GRID, &[]).learns();
    assert!((mean - 0.705).abs() < 0.09, "{mean}");
}

/// Actions of a policy on logits of which the probabilities are 0.1, 0.2, 0.3 and 0.4.
fn decided(policy: &str, phase: Phase) -> [f64; 4] {
    const DECISIONS: usize = 20_000;
    let logits = format!(
        "let ones: [k] = fill(1.0, [4])\n    let logits = log(cumsum(ones, over: k))\n    policy = {policy}\n"
    );
    let old = "    policy    = epsilon_greedy(table(observation), 0.2)\n";
    let game = Game::new(GRID, &[(old, &logits)]);
    let mut machine = Machine::new(game.model.slots().clone(), 1).unwrap();
    let program = machine.load(game.model.program(phase, DECISIONS).unwrap());
    let program = program.unwrap();
    machine.set(program, &InputKind::Seed, 12_345_i32);
    machine.run(program);
    let actions = machine.output::<i32>(program, "action").unwrap();
    assert_eq!(actions.len(), DECISIONS);
    let share = |action| actions.iter().filter(|&&a| a == action).count() as f64;
    [0, 1, 2, 3].map(|action| share(action) / DECISIONS as f64)
}

#[test]
fn policies_decide_as_often_as_they_say() {
    for (policy, expected) in [
        ("sample(logits)", [0.1, 0.2, 0.3, 0.4]),
        ("epsilon_greedy(logits, 0.4)", [0.1, 0.1, 0.1, 0.7]),
    ] {
        let shares = decided(policy, Phase::Explore);
        for (share, expected) in shares.into_iter().zip(expected) {
            // Four deviations.
            let off = 4.0 * (expected * (1.0 - expected) / 20_000_f64).sqrt();
            assert!((share - expected).abs() < off, "{policy}: {shares:?}");
        }
        assert_eq!(decided(policy, Phase::Act), [0.0, 0.0, 0.0, 1.0]);
    }
}

/// Few steps of each kind of model; fewer are remembered than are made.
fn short_games() -> [Game; 3] {
    let dqn = [(
        "steps: 2_000, replay: 50_000",
        "steps: 30, replay: 300, warmup: 100, episodes: 9",
    )];
    let pg = [("steps: 50", "steps: 6, episodes: 9"), ("= 1024", "= 128")];
    let grid = [(
        "replay: 2_000, warmup: 500, episodes: 1_000",
        "steps: 20, episodes: 9",
    )];
    [
        Game::new(DQN, &dqn),
        Game::new(PG, &pg),
        Game::new(GRID, &grid),
    ]
}

#[test]
fn play_does_not_depend_on_the_number_of_threads() {
    for game in short_games() {
        let run = Plan {
            epochs: 2,
            ..game.plan()
        };
        let alone = game.files(&run);
        for threads in [2, 5] {
            let together = game.files(&Plan {
                threads,
                ..run.clone()
            });
            let what = format!("{} on {threads} threads", game.model.experiment.net);
            assert_same(&together, &alone, &what);
        }
        let other = game.files(&Plan { seed: 1, ..run });
        assert!(other[0] != alone[0], "the seed makes no difference");
    }
}

#[test]
fn resumed_play_is_as_if_never_stopped() {
    for game in short_games() {
        let whole = Plan {
            epochs: 2,
            ..game.plan()
        };
        let expected = game.files(&whole);
        let last = 2 * game.world.steps as u64;
        for steps in [1, last / 2, last - 2] {
            let directory = tempfile::tempdir().unwrap();
            let first = Plan {
                steps: Some(steps),
                directory: Some(directory.path().to_path_buf()),
                ..whole.clone()
            };
            let outcome = train(&game.model, &game.world, &first, &mut ()).unwrap();
            assert_eq!((outcome.ending, outcome.step), (Ending::StepLimit, steps));
            let second = Plan {
                steps: None,
                start: Start::Resume(directory.path().join(CHECKPOINT)),
                ..first
            };
            train(&game.model, &game.world, &second, &mut ()).unwrap();
            let what = format!("{} after {steps} steps", game.model.experiment.net);
            assert_same(&read(directory.path()), &expected, &what);
        }
    }
}

#[test]
fn a_checkpoint_of_another_world_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let [game, ..] = short_games();
    let plan = Plan {
        steps: Some(2),
        directory: Some(directory.path().to_path_buf()),
        ..game.plan()
    };
    train(&game.model, &game.world, &plan, &mut ()).unwrap();
    let larger = Game::new(
        DQN,
        &[(
            "steps: 2_000, replay: 50_000",
            "steps: 30, replay: 301, warmup: 100",
        )],
    );
    let resumed = Plan {
        start: Start::Resume(directory.path().join(CHECKPOINT)),
        ..plan
    };
    let refused = train(&larger.model, &larger.world, &resumed, &mut ());
    let message = refused.unwrap_err().to_string();
    assert!(
        message.contains("`nnc.played` is missing or of another"),
        "{message}"
    );
}

#[test]
fn saved_weights_play_as_the_run_said() {
    let directory = tempfile::tempdir().unwrap();
    let [game, ..] = short_games();
    let plan = Plan {
        epochs: 1,
        directory: Some(directory.path().to_path_buf()),
        ..game.plan()
    };
    let outcome = train(&game.model, &game.world, &plan, &mut ()).unwrap();
    let weights = directory.path().join(WEIGHTS);
    let measures = evaluate(&game.model, &game.world, &weights, &plan, &mut ()).unwrap();
    assert_eq!(measures, outcome.test);
}
