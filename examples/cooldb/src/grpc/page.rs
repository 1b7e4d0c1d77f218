use std::convert::Infallible;

use crate::builder::Builder;
use crate::document::Document;
use crate::grpc::document::Messages;
use crate::grpc::proto::{Column, Group, Page, Row};
use crate::store::{Answer, Room};

/// Rows and groups become messages.
impl Answer for Page {
    type Error = Infallible;

    fn row<D: Document>(&mut self, id: u32, columns: &[Option<&D>]) -> Result<Room, Infallible> {
        let columns = columns
            .iter()
            .map(|value| {
                let value = value.map(|value| {
                    let Ok(json) = Messages.copy(value);
                    json
                });
                Column { value }
            })
            .collect();
        self.rows.push(Row { id, columns });
        Ok(Room::Taken)
    }

    fn group<D: Document>(&mut self, value: &D, documents: u64) -> Result<(), Infallible> {
        let value = Some(Messages.copy(value)?);
        self.groups.push(Group { value, documents });
        Ok(())
    }
}
