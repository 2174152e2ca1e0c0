//! A pole hinged to a cart on a track, to be kept upright by pushing the cart left or right.
//!
//! The equations are those of Barto, Sutton and Anderson (1983) without friction, with the
//! constants, the limits and the integration of OpenAI Gym's `CartPole`.

use super::{Environment, Outcome};
use crate::rng::Random;

const GRAVITY: f64 = 9.8;
const CART_MASS: f64 = 1.0;
const POLE_MASS: f64 = 0.1;
/// From the hinge to the middle of the pole.
const HALF_LENGTH: f64 = 0.5;
const FORCE: f64 = 10.0;
/// Seconds between two actions.
const TAU: f64 = 0.02;
/// How far the cart may go to either side.
const TRACK: f64 = 2.4;
/// How far the pole may lean to either side: 12 degrees.
const LEAN: f64 = 12.0 * std::f64::consts::TAU / 360.0;
/// All of the state begins within plus and minus this.
const START: f32 = 0.05;

/// Where the cart is, its velocity, the pole's angle from upright, its angular velocity.
#[derive(Default)]
pub(super) struct CartPole {
    state: [f64; 4],
}

impl Environment for CartPole {
    fn reset(&mut self, random: &mut Random) {
        for value in &mut self.state {
            *value = f64::from(random.between(-START, START));
        }
    }

    fn observe(&self, seen: &mut [f32]) {
        for (seen, value) in seen.iter_mut().zip(self.state) {
            *seen = value as f32;
        }
    }

    fn act(&mut self, action: usize, _: &mut Random) -> Outcome {
        let [x, x_dot, angle, angle_dot] = self.state;
        let force = if action == 1 { FORCE } else { -FORCE };
        let (sin, cos) = angle.sin_cos();
        let mass = CART_MASS + POLE_MASS;
        let pull = POLE_MASS * HALF_LENGTH;
        let push = (force + pull * angle_dot * angle_dot * sin) / mass;
        let inertia = HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * cos * cos / mass);
        let angle_acceleration = (GRAVITY * sin - cos * push) / inertia;
        let acceleration = push - pull * angle_acceleration * cos / mass;
        // Euler's method: positions move by the velocities from before.
        self.state = [
            x + TAU * x_dot,
            x_dot + TAU * acceleration,
            angle + TAU * angle_dot,
            angle_dot + TAU * angle_acceleration,
        ];
        let [x, _, angle, _] = self.state;
        Outcome {
            reward: 1.0,
            terminated: x.abs() > TRACK || angle.abs() > LEAN,
        }
    }

    fn state(&mut self) -> &mut [f64] {
        &mut self.state
    }
}
