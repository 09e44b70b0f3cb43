//! The moving dots: how many, how fast, and which of them fail.

use std::collections::HashMap;

/// Dots on one link; beyond this, new ones wait for the front ones to arrive.
const DOTS_MAX: usize = 80;
/// The longest step that is simulated: after a pause, the dots go on instead of jumping.
const STEP_MAX_S: f64 = 0.1;

/// What moves along one link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stream {
    /// Drawing units.
    pub length: f64,
    /// Drawing units per second.
    pub speed: f64,
    /// Dots per second.
    pub density: f64,
    /// Part of the dots that fail, 0 to 1.
    pub failing: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dot {
    pub gone: f64,
    pub failing: bool,
}

impl Stream {
    pub fn new(length: f64, rate: f64, errors_percent: f64, p95_ms: Option<f64>, tcp: bool) -> Self {
        let rate = if tcp { rate / 1000.0 } else { rate };
        let density = if rate > 0.0 { (0.5 + 1.2 * (1.0 + rate).log10()).min(5.0) } else { 0.0 };
        Self { length, speed: speed(p95_ms), density, failing: (errors_percent / 100.0).clamp(0.0, 1.0) }
    }
}

/// 10 ms runs, a second crawls.
fn speed(p95_ms: Option<f64>) -> f64 {
    match p95_ms {
        Some(ms) => (180.0 - 48.0 * ms.max(1.0).log10()).clamp(26.0, 160.0),
        None => 90.0,
    }
}

/// The dots of all links.
#[derive(Debug, Default)]
pub struct Swarm {
    links: HashMap<String, Moving>,
}

#[derive(Debug)]
struct Moving {
    dots: Vec<Dot>,
    /// Part of the next dot that has come so far.
    due: f64,
    /// Failing part of a dot carried over, so that the shares come out exactly.
    failing_due: f64,
}

impl Swarm {
    /// Moves all dots on and lets new ones enter; forgets links that are gone.
    pub fn step(&mut self, seconds: f64, streams: &[(String, Stream)]) {
        let seconds = seconds.clamp(0.0, STEP_MAX_S);
        if self.links.len() > streams.len() {
            self.links.retain(|id, _| streams.iter().any(|(other, _)| other == id));
        }
        for (number, (id, stream)) in streams.iter().enumerate() {
            let moving = self.links.entry(id.clone()).or_insert_with(|| Moving::filled(stream, number));
            moving.step(seconds, stream);
        }
    }

    pub fn dots(&self, id: &str) -> &[Dot] {
        self.links.get(id).map_or(&[], |moving| &moving.dots)
    }
}

impl Moving {
    /// As if the stream had flowed for long: a graph must not begin empty. Links start at different phases.
    fn filled(stream: &Stream, number: usize) -> Self {
        let mut moving = Self { dots: Vec::new(), due: (number as f64 * 0.618).fract(), failing_due: 0.5 };
        if stream.density > 0.0 {
            let pitch = stream.speed / stream.density;
            let mut gone = stream.length - pitch * moving.due;
            while gone > 0.0 && moving.dots.len() < DOTS_MAX {
                let failing = moving.next_fails(stream);
                moving.dots.push(Dot { gone, failing });
                gone -= pitch;
            }
        }
        moving
    }

    fn step(&mut self, seconds: f64, stream: &Stream) {
        for dot in &mut self.dots {
            dot.gone += stream.speed * seconds;
        }
        self.dots.retain(|dot| dot.gone < stream.length);
        self.due += stream.density * seconds;
        if self.due >= 1.0 {
            self.due = self.due.fract();
            if self.dots.len() < DOTS_MAX {
                let failing = self.next_fails(stream);
                self.dots.push(Dot { gone: 0.0, failing });
            }
        }
    }

    fn next_fails(&mut self, stream: &Stream) -> bool {
        self.failing_due += stream.failing;
        let fails = self.failing_due >= 1.0;
        self.failing_due = self.failing_due.fract();
        fails
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_fails_exactly() {
        let stream = Stream { length: 1e9, speed: 10.0, density: 5.0, failing: 0.25 };
        let mut moving = Moving { dots: vec![], due: 0.0, failing_due: 0.0 };
        for _ in 0..1000 {
            moving.step(0.1, &stream);
        }
        let failing = moving.dots.iter().filter(|dot| dot.failing).count();
        assert_eq!((moving.dots.len(), failing), (DOTS_MAX, DOTS_MAX / 4));
    }

    #[test]
    fn slow_and_rare_links_look_slow_and_rare() {
        let (fast, slow) = (Stream::new(200.0, 50.0, 0.0, Some(8.0), false), Stream::new(200.0, 0.5, 0.0, Some(2000.0), false));
        assert!(fast.speed > 4.0 * slow.speed && fast.density > 3.0 * slow.density);
        assert_eq!(Stream::new(200.0, 0.0, 0.0, None, false).density, 0.0);
    }

    #[test]
    fn links_begin_full_and_gone_links_are_forgotten() {
        let mut swarm = Swarm::default();
        let stream = Stream::new(300.0, 10.0, 0.0, Some(50.0), false);
        swarm.step(0.016, &[("a".into(), stream), ("b".into(), stream)]);
        assert!(swarm.dots("a").len() >= 4);
        swarm.step(0.016, &[("b".into(), stream)]);
        assert_eq!(swarm.dots("a").len(), 0);
    }
}
