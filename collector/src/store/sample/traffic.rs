//! A proxy's counters as they grow under random traffic, for the tests that measure: every series of Istio's standard
//! metrics per edge, in the order in which Envoy tells them.

const BOUNDS: [&str; 20] = [
    "0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000", "30000", "60000", "300000",
    "600000", "1800000", "3600000", "+Inf",
];

pub struct Traffic {
    state: u64,
    /// Per edge: requests per second, and all counters.
    edges: Vec<(f64, Counters)>,
}

#[derive(Clone)]
struct Counters {
    requests: u64,
    durations: [u64; 20],
    duration_sum: f64,
    request_sizes: [u64; 20],
    request_bytes: f64,
    response_sizes: [u64; 20],
    response_bytes: f64,
}

impl Traffic {
    pub fn new(edges: usize, seed: u64) -> Self {
        let zero = Counters {
            requests: 0,
            durations: [0; 20],
            duration_sum: 0.0,
            request_sizes: [0; 20],
            request_bytes: 0.0,
            response_sizes: [0; 20],
            response_bytes: 0.0,
        };
        let mut traffic = Self { state: seed | 1, edges: Vec::new() };
        for _ in 0..edges {
            let rate = 0.05 * 1000f64.powf(traffic.random());
            traffic.edges.push((rate, zero.clone()));
        }
        traffic
    }

    fn random(&mut self) -> f64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.random()).sum::<f64>() - 6.0
    }

    /// Lets time pass.
    pub fn run(&mut self, seconds: f64) {
        for index in 0..self.edges.len() {
            let mean = self.edges[index].0 * seconds;
            let spread = mean.sqrt() * self.normal();
            let requests = (mean + spread + self.random()).max(0.0) as u64;
            for _ in 0..requests {
                let duration = 12.0 * (0.8 * self.normal()).exp();
                let request = 300.0 + 40.0 * self.normal().abs();
                let response = 2000.0 * (0.5 * self.normal()).exp();
                let counters = &mut self.edges[index].1;
                counters.requests += 1;
                count(&mut counters.durations, duration);
                // Envoy's histograms know their values to about two digits.
                counters.duration_sum += (duration * 10.0).round() / 10.0 + 0.05;
                count(&mut counters.request_sizes, request);
                counters.request_bytes += request.round();
                count(&mut counters.response_sizes, response);
                counters.response_bytes += response.round();
            }
        }
    }

    /// Values of all series, in the order of their names and then of their edges.
    pub fn values(&self) -> Vec<f64> {
        let mut values: Vec<f64> = self.edges.iter().map(|(_, counters)| counters.requests as f64).collect();
        for metric in 0..3 {
            for (_, counters) in &self.edges {
                let (buckets, sum) = match metric {
                    0 => (&counters.durations, counters.duration_sum),
                    1 => (&counters.request_sizes, counters.request_bytes),
                    _ => (&counters.response_sizes, counters.response_bytes),
                };
                values.extend(buckets.iter().map(|bucket| *bucket as f64));
                values.push(sum);
                values.push(buckets[19] as f64);
            }
        }
        values
    }
}

fn count(buckets: &mut [u64; 20], value: f64) {
    for (bucket, bound) in buckets.iter_mut().zip(BOUNDS) {
        if bound == "+Inf" || bound.parse::<f64>().is_ok_and(|bound| value <= bound) {
            *bucket += 1;
        }
    }
}
