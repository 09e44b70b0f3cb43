//! Moves the vertices of one layer as near to their neighbours as their order and their sizes allow.

/// A vertex of the layer, in order.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    pub size: f64,
    /// Where its middle would like to be.
    pub middle: f64,
    pub weight: f64,
    /// Space that it wants on both sides; between two, the mean counts.
    pub gap: f64,
}

/// Middles that keep order and distance, with the least weighted sum of squared ways from the wishes.
pub fn settle(wishes: &[Wish]) -> Vec<f64> {
    let mut offsets = Vec::with_capacity(wishes.len());
    let mut offset = 0.0;
    for (i, wish) in wishes.iter().enumerate() {
        if i > 0 {
            let last = &wishes[i - 1];
            offset += (last.size + wish.size + last.gap + wish.gap) / 2.0;
        }
        offsets.push(offset);
    }
    // Without the distances, it is the regression of a rising line: neighbours that would cross share their mean.
    let mut blocks: Vec<Block> = Vec::with_capacity(wishes.len());
    for (wish, offset) in wishes.iter().zip(&offsets) {
        let mut block = Block { sum: (wish.middle - offset) * wish.weight, weight: wish.weight, count: 1 };
        while let Some(last) = blocks.last().copied().filter(|last| last.mean() >= block.mean()) {
            blocks.pop();
            block = Block { sum: last.sum + block.sum, weight: last.weight + block.weight, count: last.count + block.count };
        }
        blocks.push(block);
    }
    let means = blocks.iter().flat_map(|block| std::iter::repeat_n(block.mean(), block.count));
    means.zip(offsets).map(|(mean, offset)| mean + offset).collect()
}

#[derive(Clone, Copy)]
struct Block {
    sum: f64,
    weight: f64,
    count: usize,
}

impl Block {
    fn mean(self) -> f64 {
        self.sum / self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(middle: f64) -> Wish {
        Wish { size: 10.0, middle, weight: 1.0, gap: 2.0 }
    }

    #[test]
    fn wishes_that_do_not_collide_come_true() {
        assert_eq!(settle(&[wish(0.0), wish(50.0)]), [0.0, 50.0]);
    }

    #[test]
    fn colliding_wishes_meet_in_the_middle() {
        assert_eq!(settle(&[wish(20.0), wish(20.0)]), [14.0, 26.0]);
        assert_eq!(settle(&[wish(30.0), wish(0.0), wish(100.0)]), [9.0, 21.0, 100.0]);
    }
}
