//! Random stacks of the library's layers: odd sizes, axes of size 1, padding, strides,
//! dilation, windows that leave a rest, any small batch.

use nnc_runtime::rng::{Random, Stream};

/// A program that elaborates, and whose numbers stay where f32 can tell them apart.
pub fn random_network(seed: u64) -> String {
    let mut network = Network {
        random: Random::new(seed, Stream::Data, 1),
        batch: 1,
        layers: Vec::new(),
    };
    network.batch = network.pick(1, 7);
    let image = network.random.below(3) > 0;
    let (shape, mut size) = match image {
        true => {
            let shape = [network.pick(1, 3), network.pick(1, 9), network.pick(1, 9)];
            let size = network.image(shape);
            (format!("{shape:?}"), size)
        }
        false => {
            let size = network.pick(1, 20);
            (format!("[{size}]"), size)
        }
    };
    for _ in 0..network.pick(0, 3) {
        size = network.row(size);
    }
    let classes = network.pick(2, 11);
    network.layers.push(format!("dense({classes})"));
    let layers = network.layers.join(" |> ");
    let (data, loss) = network.choose(&[
        (format!("classes: {classes}"), "cross_entropy(out, y)"),
        (
            format!("classes: {classes}"),
            "cross_entropy(out, y, smoothing: 0.1)",
        ),
        (format!("classes: {classes}"), "multi_margin(out, y)"),
        (format!("target: [{classes}]"), "mse(out, y)"),
        (
            format!("target: [{classes}]"),
            "bce_with_logits(out, float(y > 0))",
        ),
    ]);
    let report = if data.starts_with("classes") {
        "accuracy(out, y), recall(out, y)"
    } else {
        "rmse(out, y)"
    };
    let optimizer = network.choose(&[
        "sgd(0.05)",
        "sgd(0.05, momentum: 0.9)",
        "adam(0.003)",
        "adagrad(0.01)",
    ]);
    let clip = network.choose(&["", "clip_norm = 0.5", "clip_norm = 100.0"]);
    let batch = network.batch;
    format!(
        "layer skip(x: [n]) -> [n] {{ x + (x |> dense(n) |> tanh) }}

net model(x: {shape}) -> [{classes}] {{
    x |> {layers}
}}

train {{
    data      = samples(shape: {shape}, {data})
    batch     = {batch}
    epochs    = 1
    optimizer = {optimizer}
    {clip}
    let out = model(x)
    minimize {loss}
    report   {report}
}}
"
    )
}

/// Normalising fewer values than this makes noise of them: two always become -1 and 1.
const POPULATION: usize = 8;

struct Network {
    random: Random,
    batch: usize,
    layers: Vec<String>,
}

impl Network {
    /// In low..=high.
    fn pick(&mut self, low: usize, high: usize) -> usize {
        low + self.random.below((high - low + 1) as u32) as usize
    }

    fn choose<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.pick(0, among.len() - 1)].clone()
    }

    /// Layers over channels and pixels; how many numbers they leave of a sample.
    fn image(&mut self, mut shape: [usize; 3]) -> usize {
        for _ in 0..self.pick(1, 4) {
            match self.pick(0, 6) {
                0..=2 => shape = self.convolution(shape),
                3 | 4 => shape = self.pooling(shape),
                5 if self.batch * shape[1] * shape[2] >= POPULATION => {
                    // After anything linear, what shifts or scales a channel would have
                    // a gradient of zero, and rounding errors instead of it.
                    self.layers
                        .extend(["tanh".to_owned(), "batch_norm".to_owned()]);
                }
                _ => self.pointwise(),
            }
        }
        match self.pick(0, 4) {
            0 => {
                self.layers.push("global_avg_pool".to_owned());
                shape[0]
            }
            _ => {
                self.layers.push("flatten".to_owned());
                shape.iter().product()
            }
        }
    }

    fn convolution(&mut self, [_, h, w]: [usize; 3]) -> [usize; 3] {
        let filters = self.pick(1, 9);
        let (stride, dilation) = (self.pick(1, 3), self.choose(&[1, 1, 1, 2]));
        let kernel = self.pick(1, 4);
        let reach = (kernel - 1) * dilation + 1;
        let same = self.pick(0, 3) == 0;
        let padding = self.pick(0, 2);
        let fits = same || reach <= h.min(w) + 2 * padding;
        let (kernel, reach) = if fits { (kernel, reach) } else { (1, 1) };
        let out = |size: usize| match same {
            true => size.div_ceil(stride),
            false => (size + 2 * padding - reach) / stride + 1,
        };
        let padding = if same {
            "\"same\"".to_owned()
        } else {
            padding.to_string()
        };
        let bias = self.choose(&["", ", bias: false"]);
        let arguments =
            format!("kernel: {kernel}, stride: {stride}, padding: {padding}, dilation: {dilation}");
        self.layers
            .push(format!("conv2d({filters}, {arguments}{bias})"));
        if self.pick(0, 1) == 0 {
            self.pointwise();
        }
        [filters, out(h), out(w)]
    }

    fn pooling(&mut self, [c, h, w]: [usize; 3]) -> [usize; 3] {
        let size = self.pick(1, 3.min(h).min(w));
        // A window always holds something that is not padding.
        let (stride, padding) = (self.pick(1, 3), self.pick(0, size / 2));
        let name = self.choose(&["max_pool2d", "avg_pool2d"]);
        self.layers.push(format!(
            "{name}({size}, stride: {stride}, padding: {padding})"
        ));
        let out = |extent: usize| (extent + 2 * padding - size) / stride + 1;
        [c, out(h), out(w)]
    }

    /// A layer over rows of so many numbers; how many it leaves.
    fn row(&mut self, size: usize) -> usize {
        match self.pick(0, 4) {
            0 | 1 => {
                let units = self.pick(1, 33);
                self.layers.push(format!("dense({units})"));
                self.pointwise();
                units
            }
            2 if size >= POPULATION => {
                self.layers.push("layer_norm".to_owned());
                size
            }
            3 => {
                self.layers.push("skip".to_owned());
                size
            }
            _ => {
                self.pointwise();
                size
            }
        }
    }

    fn pointwise(&mut self) {
        let layer = self.choose(&[
            "relu",
            "leaky_relu(slope: 0.1)",
            "elu",
            "gelu",
            "gelu_tanh",
            "sigmoid",
            "tanh",
            "softplus",
            "silu",
            "dropout(0.3)",
        ]);
        self.layers.push(layer.to_owned());
    }
}
