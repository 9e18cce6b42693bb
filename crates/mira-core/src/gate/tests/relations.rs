//! How a new fact stands to one that is kept.

use super::{beside, check_all, id, keep};
use crate::gate::Verdict;

#[test]
fn the_same_again_is_merged() {
    check_all(
        [
            (
                ("owner", "job", "The owner works as a nurse."),
                "owner",
                "profession",
                "The owner is employed as a nurse.",
            ),
            (
                ("owner", "job", "The owner works as a nurse."),
                "owner",
                "job",
                "The owner's job is nursing.",
            ),
            (
                ("owner", "sister", "The owner's sister is called Anna."),
                "owner",
                "family",
                "The owner has a sister named Anna.",
            ),
            (
                ("owner", "sister", "The owner has a sister called Anna who paints."),
                "owner",
                "sister",
                "The owner's sister is called Anna.",
            ),
            (
                ("owner", "home town", "The owner lives in Graz."),
                "owner",
                "city",
                "The owner's home is in Graz.",
            ),
            (
                ("owner", "food", "The owner loves sushi."),
                "owner",
                "likes",
                "The owner enjoys sushi.",
            ),
            (
                ("Anna", "", "Anna is a painter in Rome."),
                "owner",
                "friend",
                "Anna paints in Rome.",
            ),
        ]
        .map(|(old, about, topic, text)| {
            (
                beside(&[old], about, topic, text),
                Verdict::Merge(id(0)),
                text.to_owned(),
            )
        }),
    );
}

#[test]
fn what_one_has_once_is_superseded() {
    check_all(
        [
            (
                ("job", "The owner works as a nurse."),
                "job",
                "The owner works as a teacher.",
            ),
            (
                ("work", "The owner works at Siemens as an engineer."),
                "employer",
                "The owner works for Bosch now.",
            ),
            (
                ("home town", "The owner lives in Graz."),
                "residence",
                "The owner moved from Graz to Linz in May 2026.",
            ),
            (("age", "The owner is 34 years old."), "age", "The owner turned 35."),
            (
                ("partner", "The owner's girlfriend is called Eva."),
                "relationship",
                "The owner is dating Sarah.",
            ),
            (
                ("phone", "The owner's phone number is 0660 123."),
                "phone number",
                "The owner's phone number is 0660 999.",
            ),
            (
                ("favourite colour", "The owner's favourite colour is green."),
                "colour",
                "The owner's favorite color is blue.",
            ),
            (
                ("birthday", "The owner's birthday is on 3 May."),
                "birthday",
                "The owner was born on 4 May.",
            ),
            (
                ("pronouns", "The owner's pronouns are she/her."),
                "pronouns",
                "The owner uses they/them pronouns.",
            ),
            (
                ("car", "The owner drives a red Skoda."),
                "vehicle",
                "The owner's car is a Fiat.",
            ),
            (("diet", "The owner is vegetarian."), "diet", "The owner is vegan."),
            (
                ("job", "The owner works at Siemens."),
                "job",
                "The owner no longer works at Siemens.",
            ),
            (("job", "The owner works as a nurse."), "job", "The owner is retired."),
            (
                ("partner", "The owner's husband is called Tom."),
                "partner",
                "The owner and Tom broke up, so the owner is single.",
            ),
            (("food", "The owner likes coffee."), "drinks", "The owner hates coffee."),
            (
                ("hobby", "The owner plays tennis on Sundays."),
                "hobby",
                "The owner stopped playing tennis.",
            ),
            (
                ("car", "The owner has an old bike."),
                "bike",
                "The owner sold the old bike.",
            ),
            (
                ("sister", "The owner's sister is called Anna."),
                "sister",
                "The owner's sister Anna lives in Rome.",
            ),
            (
                ("appointment", "The owner has a dental check on 3 May."),
                "appointment",
                "The owner has a dental check on 9 May.",
            ),
        ]
        .map(|(old, topic, text)| {
            (
                beside(&[("owner", old.0, old.1)], "owner", topic, text),
                keep(&[0]),
                text.to_owned(),
            )
        }),
    );
}

#[test]
fn what_one_can_have_several_of_stands_beside() {
    check_all(
        [
            (
                ("owner", "pet", "The owner has a cat called Milo."),
                "owner",
                "pet",
                "The owner has a cat called Luna.",
            ),
            (
                ("owner", "sister", "The owner's sister is called Anna."),
                "owner",
                "sister",
                "The owner's sister is called Berta.",
            ),
            (
                ("owner", "likes", "The owner likes tea."),
                "owner",
                "likes",
                "The owner likes jazz.",
            ),
            (
                ("owner", "allergy", "The owner is allergic to nuts."),
                "owner",
                "allergy",
                "The owner is allergic to shrimps.",
            ),
            (
                ("owner", "home town", "The owner lives in Graz."),
                "owner",
                "sister",
                "The owner's sister lives in Rome.",
            ),
            (
                ("owner", "home town", "The owner lives in Graz."),
                "Anna",
                "home town",
                "Anna lives in Rome.",
            ),
            (
                ("owner", "job", "The owner works as a nurse."),
                "owner",
                "job",
                "The owner works at the hospital of Graz.",
            ),
            (
                ("owner", "job", "The owner works as a nurse."),
                "owner",
                "job",
                "The owner does not like the job.",
            ),
            (
                ("owner", "job", "The owner works as a nurse."),
                "owner",
                "job",
                "The owner does not work on Fridays.",
            ),
            (
                ("owner", "home town", "The owner lives in Graz."),
                "owner",
                "home town",
                "The owner used to live in Vienna.",
            ),
            (
                ("owner", "home town", "The owner lives in Graz."),
                "owner",
                "plans",
                "The owner plans to move to Berlin in March 2027.",
            ),
            (
                ("owner", "employer", "The owner works at Bosch."),
                "owner",
                "employer",
                "The owner no longer works at Siemens.",
            ),
            (
                ("owner", "likes", "The owner likes tea."),
                "owner",
                "likes",
                "The owner does not like coffee.",
            ),
            (
                ("owner", "partner", "The owner's husband is called Tom."),
                "owner",
                "partner",
                "The owner's husband is a chef.",
            ),
            (
                ("owner", "marathon", "The owner ran a marathon on 3 May 2025."),
                "owner",
                "marathon",
                "The owner ran a marathon in Rome on 9 June 2026.",
            ),
        ]
        .map(|(old, about, topic, text)| (beside(&[old], about, topic, text), keep(&[]), text.to_owned())),
    );
}

/// What is one person's is not another's, whatever the topic.
#[test]
fn whose_it_is() {
    let (more, both, same) = (keep(&[0]), keep(&[]), Verdict::Merge(id(0)));
    check_all(
        [
            (
                "The owner is colour-blind.",
                "The owner's nephew is colour-blind.",
                &both,
            ),
            (
                "The owner's nephew is colour-blind.",
                "The owner is colour-blind.",
                &both,
            ),
            ("The owner has asthma.", "The owner's mother had asthma.", &both),
            ("The owner lives in Graz.", "The owner's sister lives in Graz.", &both),
            ("The owner's sister lives in Graz.", "The owner lives in Graz.", &both),
            (
                "The owner works at Bosch.",
                "The owner's brother works at Bosch.",
                &both,
            ),
            (
                "The owner's brother Paul lives in Bergen.",
                "The owner's brother Henrik lives in Oslo.",
                &both,
            ),
            (
                "The owner's sister Anna lives in Rome.",
                "The owner's sister Berta does not live in Rome.",
                &both,
            ),
            (
                "The owner's sister Anna plays the violin.",
                "Anna plays the violin.",
                &same,
            ),
            (
                "Tom works as a chef.",
                "The owner's brother Tom works as a chef.",
                &more,
            ),
            (
                "The owner's doctor Dr Huber is in Graz.",
                "The owner's doctor Huber is in Graz.",
                &same,
            ),
            (
                "The owner plays chess.",
                "The owner plays chess with his brother.",
                &more,
            ),
            ("She lives in Graz.", "She lives in Graz with her sister.", &more),
            ("She lives in Graz.", "Her sister lives in Graz.", &both),
            ("She lives in Graz.", "Now her sister lives in Graz.", &both),
            ("She lives in Graz.", "Since May 2026 her sister lives in Graz.", &both),
            ("Tom plays chess.", "Tom plays chess with his brother.", &more),
            (
                "The owner is in a relationship with Lucia.",
                "The owner's partner is called Lucia.",
                &same,
            ),
        ]
        .map(|(old, text, expect)| {
            let got = beside(&[("owner", "", old)], "owner", "", text);
            (got, expect.clone(), format!("{old} <- {text}"))
        }),
    );
}
