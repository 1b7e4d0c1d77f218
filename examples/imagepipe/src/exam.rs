//! Questions whose answers are known.

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;

use crate::mode::Mode;
use crate::photo::{Format, Photo};
use crate::proto::{
    self, Answer, CompressTo, Digest, Job, Return, TranscodeTo, answer::Answer as Kind, job::Work,
};
use crate::work;

/// Of the JPEGs that the compressor is asked for.
const QUALITY: u32 = 50;

/// The images of one size.
#[derive(Clone, Debug)]
pub(crate) struct Photos {
    jpeg: Photo,
    png: Photo,
}

impl Photos {
    pub(crate) fn new(bytes: usize, seed: u64) -> Result<Self> {
        let photo = |format| {
            let photo = Photo::new(format, bytes, seed);
            photo.with_context(|| format!("making a {format:?} of {bytes} bytes"))
        };
        Ok(Self {
            jpeg: photo(Format::Jpeg)?,
            png: photo(Format::Png)?,
        })
    }
}

/// What a mode asks, and the right answers.
#[derive(Debug)]
pub(crate) struct Exam {
    questions: Vec<Question>,
}

#[derive(Debug)]
struct Question {
    image: Bytes,
    work: Work,
    right: Right,
}

#[derive(Debug)]
enum Right {
    Image(Bytes),
    Digest(u64),
}

impl Exam {
    /// Works out the answers.
    pub(crate) fn new(mode: Mode, photos: &Photos) -> Result<Self> {
        let jpeg = photos.jpeg.bytes();
        let png = photos.png.bytes();
        let questions = match mode {
            Mode::Routing => vec![Question {
                image: jpeg.clone(),
                work: Work::Return(Return {}),
                right: Right::Image(jpeg.clone()),
            }],
            Mode::Digest => vec![Question {
                image: jpeg.clone(),
                work: Work::Digest(Digest {}),
                right: Right::Digest(work::digest(jpeg)),
            }],
            Mode::Work => vec![
                Question {
                    image: png.clone(),
                    work: Work::Transcode(TranscodeTo {
                        format: proto::Format::Jpeg.into(),
                        longest_side: 0,
                    }),
                    right: Right::Image(work::transcode(png, Format::Jpeg, None)?.into()),
                },
                Question {
                    image: jpeg.clone(),
                    work: Work::Compress(CompressTo { quality: QUALITY }),
                    right: Right::Image(work::compress(jpeg, QUALITY)?.into()),
                },
            ],
        };
        Ok(Self { questions })
    }

    /// The question of a call; they take turns.
    pub(crate) fn job(&self, call: usize) -> Result<Job> {
        let question = self.question(call)?;
        Ok(Job {
            image: Some(question.image.clone().into()),
            work: Some(question.work),
        })
    }

    /// Reads the answer to the question of a call.
    ///
    /// # Errors
    /// If it differs from the right one by a byte.
    pub(crate) fn check(&self, call: usize, answer: &Answer) -> Result<()> {
        match (&self.question(call)?.right, &answer.answer) {
            (Right::Image(right), Some(Kind::Image(image))) => {
                let image = image.open().context("the answer cannot be read")?;
                if **right != *image {
                    bail!("{}", difference(&image, right));
                }
            }
            (Right::Digest(right), Some(Kind::Digest(digest))) => {
                ensure!(right == digest, "the digest is {digest:x}, not {right:x}");
            }
            (_, answer) => bail!("the answer is of another kind: {answer:.80?}"),
        }
        Ok(())
    }

    /// Mean bytes of the images that are sent, and of those that come back.
    pub(crate) fn mean_bytes(&self) -> (usize, usize) {
        let mean = |bytes: fn(&Question) -> usize| {
            self.questions.iter().map(bytes).sum::<usize>() / self.questions.len().max(1)
        };
        let sent = mean(|question| question.image.len());
        let received = mean(|question| match &question.right {
            Right::Image(image) => image.len(),
            Right::Digest(_) => 0,
        });
        (sent, received)
    }

    fn question(&self, call: usize) -> Result<&Question> {
        let questions = self.questions.len().max(1);
        self.questions.get(call % questions).context("no question")
    }
}

fn difference(image: &[u8], right: &[u8]) -> String {
    let same = image.iter().zip(right).take_while(|(a, b)| a == b).count();
    format!(
        "the answer has {} bytes, the right one {}; they differ from byte {same} on",
        image.len(),
        right.len(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(image: Vec<u8>) -> Answer {
        Answer {
            answer: Some(Kind::Image(image.into())),
        }
    }

    #[test]
    fn an_answer_that_differs_by_a_byte_is_not_right() -> Result<()> {
        let photos = Photos::new(4 << 10, 1)?;
        let right = photos.jpeg.bytes().to_vec();
        let exam = Exam::new(Mode::Routing, &photos)?;
        exam.check(0, &answer(right.clone()))?;
        for place in [0, 1000, right.len() - 1] {
            let mut wrong = right.clone();
            wrong[place] ^= 1;
            let told = exam.check(0, &answer(wrong)).unwrap_err().to_string();
            assert!(told.contains(&format!("from byte {place} on")), "{told}");
        }
        let short = answer(right[..right.len() - 1].to_vec());
        assert!(exam.check(0, &short).is_err());
        let digest = Some(Kind::Digest(work::digest(&right)));
        assert!(exam.check(0, &Answer { answer: digest }).is_err());
        Ok(())
    }
}
