//! Lies and deeds of peers that make native calls, and the honest sides they
//! are told and done to.

mod deed;
mod forgery;
mod house;
mod lie;
mod lies;
mod references;
mod survey;

pub use deed::NativeDeed;
pub use forgery::forged;
pub use house::{NativeServer, NativeSteady, call_on, channel_options, survey_client};
pub use lie::NativeLie;
pub use survey::{
    Shape, Survey, SurveyAsyncClient, SurveyClient, SurveyServer, Surveyor, Thing, Wrong, amount,
    build, code_of,
};
