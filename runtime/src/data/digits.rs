//! Synthetic digits: strokes of a pen, bent and distorted at random, drawn on 28 x 28
//! pixels. A stand-in of about MNIST's difficulty where there is no network, and a
//! data set that tests can rely on: the same everywhere, by seed.

use super::counts::Counts;
use super::mnist::{self, labelled_images};
use super::{Call, Dataset, Field, Provenance, Split};
use crate::error::Result;
use crate::rng::{Random, Stream};
use rayon::prelude::*;

const SIDE: usize = 28;
const PIXELS: usize = SIDE * SIDE;

/// The fields of MNIST.
pub(super) fn fields(source: &Call) -> Result<Vec<Field>> {
    counts(source).map(|_| mnist::fields())
}

fn counts(source: &Call) -> Result<Counts> {
    Counts::of(source, [12_000, 2_000], PIXELS)
}

/// The set that stands in for MNIST.
pub(super) fn default() -> Result<Dataset> {
    load(&Call::new("digits"))
}

/// Draws as many as asked for.
pub(super) fn load(source: &Call) -> Result<Dataset> {
    let Counts { train, test, seed } = counts(source)?;
    Ok(Dataset {
        train: draw(seed, 0, train),
        valid: None,
        test: draw(seed, 1 << 32, test),
        shuffle: true,
        provenance: Provenance::Generated(format!("{train} + {test} synthetic digits")),
    })
}

/// Digit `i` is a function of the seed and `first + i` alone.
fn draw(seed: u64, first: u64, count: usize) -> Split {
    let mut pixels = vec![0_u8; count * PIXELS];
    let labels = pixels
        .par_chunks_exact_mut(PIXELS)
        .enumerate()
        .map(|(i, image)| {
            let mut random = Random::new(seed, Stream::Data, first + i as u64);
            let digit = random.below(10) as u8;
            draw_digit(digit, &mut random, image);
            digit
        })
        .collect();
    labelled_images(mnist::fields(), pixels, labels)
}

/// A part of a digit in a box of -1..1, y downwards.
enum Stroke {
    /// Straight from point to point.
    Line(&'static [(f32, f32)]),
    /// Part of an ellipse: centre, radii, from and to in degrees clockwise from the right.
    Arc((f32, f32), (f32, f32), f32, f32),
}

use Stroke::{Arc, Line};

/// The ways to write each digit.
const DIGITS: [&[&[Stroke]]; 10] = [
    &[&[Arc((0.0, 0.0), (0.6, 1.0), 0.0, 360.0)]],
    &[
        &[Line(&[(0.0, -1.0), (0.0, 1.0)])],
        &[Line(&[(-0.4, -0.6), (0.0, -1.0), (0.0, 1.0)])],
        &[
            Line(&[(-0.35, -0.65), (0.0, -1.0), (0.0, 1.0)]),
            Line(&[(-0.4, 1.0), (0.4, 1.0)]),
        ],
    ],
    &[
        &[
            Arc((0.0, -0.45), (0.55, 0.55), 190.0, 400.0),
            Line(&[(0.42, -0.1), (-0.6, 1.0), (0.6, 1.0)]),
        ],
        &[
            Arc((0.0, -0.45), (0.5, 0.55), 200.0, 420.0),
            Line(&[(0.25, 0.03), (-0.35, 0.75)]),
            Arc((-0.4, 0.85), (0.15, 0.15), 0.0, 360.0),
            Line(&[(-0.35, 0.75), (0.65, 0.95)]),
        ],
    ],
    &[
        &[
            Arc((-0.05, -0.5), (0.5, 0.5), 200.0, 450.0),
            Arc((-0.05, 0.5), (0.6, 0.5), 270.0, 520.0),
        ],
        &[
            Line(&[(-0.5, -1.0), (0.5, -1.0), (-0.05, -0.15)]),
            Arc((-0.05, 0.42), (0.6, 0.57), 270.0, 520.0),
        ],
    ],
    &[
        &[
            Line(&[(0.2, -1.0), (-0.6, 0.3), (0.6, 0.3)]),
            Line(&[(0.25, -0.3), (0.25, 1.0)]),
        ],
        &[
            Line(&[(-0.45, -1.0), (-0.5, 0.1), (0.55, 0.05)]),
            Line(&[(0.4, -1.0), (0.35, 1.0)]),
        ],
    ],
    &[&[
        Line(&[(0.5, -1.0), (-0.4, -1.0), (-0.45, -0.05)]),
        Arc((-0.05, 0.4), (0.55, 0.6), 225.0, 510.0),
    ]],
    &[
        &[
            Arc((0.45, 0.35), (1.0, 1.35), 180.0, 270.0),
            Arc((0.0, 0.45), (0.55, 0.55), 0.0, 360.0),
        ],
        &[
            Line(&[(0.2, -1.0), (-0.45, 0.2)]),
            Arc((0.0, 0.5), (0.52, 0.5), 0.0, 360.0),
        ],
    ],
    &[
        &[Line(&[(-0.55, -1.0), (0.55, -1.0), (-0.1, 1.0)])],
        &[
            Line(&[(-0.55, -1.0), (0.55, -1.0), (-0.1, 1.0)]),
            Line(&[(-0.3, 0.0), (0.45, 0.0)]),
        ],
        &[Line(&[
            (-0.55, -0.7),
            (-0.5, -1.0),
            (0.5, -0.95),
            (0.1, 1.0),
        ])],
    ],
    &[&[
        Arc((0.0, -0.5), (0.45, 0.5), 0.0, 360.0),
        Arc((0.0, 0.5), (0.55, 0.5), 0.0, 360.0),
    ]],
    &[
        &[
            Arc((0.0, -0.45), (0.5, 0.55), 0.0, 360.0),
            Line(&[(0.5, -0.45), (0.4, 1.0)]),
        ],
        &[
            Arc((0.0, -0.45), (0.5, 0.55), 0.0, 360.0),
            Arc((-0.5, -0.3), (1.0, 1.3), 0.0, 80.0),
        ],
    ],
];

fn draw_digit(digit: u8, random: &mut Random, image: &mut [u8]) {
    let ways = DIGITS[usize::from(digit)];
    let strokes = ways[random.below(ways.len() as u32) as usize];
    let hand = Hand::new(random);
    // Squared distance of each pixel from the pen's path, where it is near.
    let mut distance = [f32::INFINITY; PIXELS];
    for stroke in strokes {
        let path: Vec<(f32, f32)> = stroke.points().map(|p| hand.place(p)).collect();
        for pair in path.windows(2) {
            approach(&mut distance, pair[0], pair[1], hand.pen + 1.0);
        }
    }
    for (pixel, squared) in image.iter_mut().zip(distance) {
        let ink = (hand.pen + 0.5 - squared.sqrt()).clamp(0.0, 1.0) * hand.pressure;
        let grain = hand.grain * random.normal();
        *pixel = ((ink + grain).clamp(0.0, 1.0) * 255.0).round() as u8;
    }
}

impl Stroke {
    /// Points close enough together that bending what is between them shows no corner.
    fn points(&self) -> Box<dyn Iterator<Item = (f32, f32)> + '_> {
        const PARTS: usize = 6;
        let fraction = |i: usize| i as f32 / PARTS as f32;
        match *self {
            Line(corners) => {
                let between = move |pair: &'static [(f32, f32)]| {
                    let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
                    let at = move |t: f32| (x0 + (x1 - x0) * t, y0 + (y1 - y0) * t);
                    (0..=PARTS).map(move |i| at(fraction(i)))
                };
                Box::new(corners.windows(2).flat_map(between))
            }
            Arc((cx, cy), (rx, ry), from, to) => Box::new((0..=3 * PARTS).map(move |i| {
                let angle = (from + (to - from) * fraction(i) / 3.0).to_radians();
                (cx + rx * angle.cos(), cy + ry * angle.sin())
            })),
        }
    }
}

/// How somebody writes: where a point of the ideal digit comes to lie on the paper.
struct Hand {
    /// Rows of the affine map to pixels.
    map: [[f32; 3]; 2],
    /// Amplitude, frequency and phase of the waves that bend x along y, and y along x.
    waves: [(f32, f32, f32); 2],
    /// Half the width of a line, in pixels.
    pen: f32,
    pressure: f32,
    grain: f32,
}

impl Hand {
    fn new(random: &mut Random) -> Hand {
        let (sin, cos) = random.between(-0.26, 0.26).sin_cos();
        let slant = random.between(-0.3, 0.3);
        let height = random.between(7.5, 10.5);
        let width = height * random.between(0.7, 1.15);
        let centre = SIDE as f32 / 2.0;
        let mut middle = || centre + random.between(-2.0, 2.0);
        // Rotation after slant after scale.
        let map = [
            [cos * width, (cos * slant - sin) * height, middle()],
            [sin * width, (sin * slant + cos) * height, middle()],
        ];
        let mut wave = || {
            (
                random.between(0.0, 0.12),
                random.between(1.5, 3.5),
                random.between(0.0, std::f32::consts::TAU),
            )
        };
        let waves = [wave(), wave()];
        Hand {
            map,
            waves,
            pen: random.between(0.5, 1.5),
            pressure: random.between(0.75, 1.0),
            grain: random.between(0.0, 0.08),
        }
    }

    fn place(&self, (x, y): (f32, f32)) -> (f32, f32) {
        let bend =
            |(size, pace, phase): (f32, f32, f32), along: f32| size * (pace * along + phase).sin();
        let (x, y) = (x + bend(self.waves[0], y), y + bend(self.waves[1], x));
        let [row_x, row_y] = self.map;
        (
            row_x[0] * x + row_x[1] * y + row_x[2],
            row_y[0] * x + row_y[1] * y + row_y[2],
        )
    }
}

/// Lowers the distances of the pixels within `reach` of a segment.
fn approach(distance: &mut [f32; PIXELS], a: (f32, f32), b: (f32, f32), reach: f32) {
    let range = |p: f32, q: f32| {
        let low = (p.min(q) - reach).max(0.0) as usize;
        let high = (p.max(q) + reach + 1.0).clamp(0.0, SIDE as f32) as usize;
        low..high
    };
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length = (dx * dx + dy * dy).max(f32::MIN_POSITIVE);
    for row in range(a.1, b.1) {
        for column in range(a.0, b.0) {
            let (px, py) = (column as f32 + 0.5 - a.0, row as f32 + 0.5 - a.1);
            let along = ((px * dx + py * dy) / length).clamp(0.0, 1.0);
            let (ex, ey) = (px - along * dx, py - along * dy);
            let pixel = &mut distance[row * SIDE + column];
            *pixel = pixel.min(ex * ex + ey * ey);
        }
    }
}
