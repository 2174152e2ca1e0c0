//! Training and testing by playing: the policy's program acts, and what comes of it is
//! what the training step learns from.

use super::Phase;
use super::observer::Observer;
use super::passes::{Lesson, Limits, Pass, Runner};
use crate::data::Split;
use crate::error::{Error, Result};
use crate::machine::Session;
use crate::play::{Player, World};
use crate::program::InputKind;
use crate::rng::{Stream, step_seed};
use crate::workspace::Handle;
use std::sync::atomic::{AtomicBool, Ordering};

impl Runner<'_> {
    /// So many training steps, counted on from `step`, with play before each; returns the
    /// last step made.
    pub fn train_playing(
        &mut self,
        pass: Pass,
        player: &mut Player,
        steps: usize,
        mut step: u64,
        limits: Limits<'_>,
        observer: &mut dyn Observer,
    ) -> Result<u64> {
        let policy = self.policy(Phase::Explore, pass, player)?;
        let handle = self.loaded(Phase::Train, pass.batch)?;
        player.check(self.machine.program(handle))?;
        self.set_pass(handle, pass);
        let mut lesson = Lesson::new(pass, observer);
        self.machine.enter(|session| {
            for _ in 0..steps {
                if limits.reached(step) {
                    break;
                }
                step += 1;
                session.set(policy, &InputKind::Step, step as f32);
                for _ in 0..player.due() {
                    play(session, policy, player, pass.seed);
                }
                while !player.is_ready(pass.batch) {
                    play(session, policy, player, pass.seed);
                }
                player.choose(pass.batch, step);
                let mean = player.mean_return();
                lesson.step(session, handle, step, pass.batch, mean, &|rows| {
                    player.gather(rows);
                })?;
                player.learnt();
            }
            Ok::<(), Error>(())
        })?;
        Ok(step)
    }

    /// The program that acts for all seats at once.
    fn policy(&mut self, phase: Phase, pass: Pass, player: &Player) -> Result<Handle> {
        let policy = self.loaded(phase, player.seats())?;
        player.check(self.machine.program(policy))?;
        self.set_pass(policy, pass);
        Ok(policy)
    }
}

/// The episodes of the test: all that happened in them, and their mean return; `None` when
/// stopped on the way.
pub(super) fn test_by_playing(
    runner: &mut Runner<'_>,
    pass: Pass,
    world: &World,
    step: u64,
    stop: &AtomicBool,
) -> Result<Option<(Split, f32)>> {
    let mut player = Player::tested(world, pass.seed);
    let policy = runner.policy(Phase::Act, pass, &player)?;
    runner.machine.set(policy, &InputKind::Step, step as f32);
    runner.machine.enter(|session| {
        while !player.is_over() && !stop.load(Ordering::Relaxed) {
            play(session, policy, &mut player, pass.seed);
        }
    });
    let mean = player.mean_return().filter(|_| player.is_over());
    Ok(mean.map(|mean| (player.split(), mean)))
}

/// Everybody acts once.
fn play(session: &mut Session<'_>, policy: Handle, player: &mut Player, seed: u64) {
    let seed = step_seed(seed, Stream::Policy, player.rounds());
    session.set(policy, &InputKind::Seed, seed);
    session.step_on(policy, &|rows| player.observe(rows));
    match session.output::<i32>(policy, "action") {
        Some(actions) => player.act(actions),
        None => panic!("runtime: the policy gives no action"),
    }
}
