//! The script of the rehearsal: every sentence the stand-in can say, and nothing that decides.
//!
//! Placeholders: `{q}` the owner's words quoted, `{t}` their topic, `{prev}` the topic before it, `{mood}` and
//! `{new}` her mood before and after, `{cause}` what caused it, `{o}` the overlay she wears, `{from}` the one
//! she wore, `{n}` a count. Every reaction quotes the owner, so that two inputs cannot get one reply.

use super::{
    Voice,
    cues::{Cue, Harm},
};

/// What she says first: an answer to how the owner is, then to what they said.
pub(super) fn reaction(cue: Cue, voice: Voice) -> &'static [&'static str] {
    use Voice::{Default as D, Forbidden as F, Hallow as H, Haven as N};
    match (cue, voice) {
        // Danger is answered by `danger_opening` and what follows it.
        (Cue::Danger(_), _) => &["I heard you: {q}."],
        (Cue::Empty, D) => &[
            "Nothing? You crossed a whole network to hand me nothing? I'll frame it.",
            "Blank. Either you leaned on Enter or we've reached the comfortable-silence stage. I'm fine with both.",
        ],
        (Cue::Empty, F) => &[
            "Speechless already, and I haven't even started.",
            "An empty message. You undress a sentence quickly.",
        ],
        (Cue::Empty, H) => &[
            "You sent silence. I'll sit in it with you until it has a shape.",
            "No words. Then none. I'm still facing you.",
        ],
        (Cue::Empty, N) => &[
            "No words today? That's allowed. Sit. The kettle's doing the talking.",
            "It's quiet and you came anyway. That's plenty.",
        ],
        (Cue::Repeat, D) => &[
            "{q}, second edition. I heard you the first time, sweetheart; what did you want me to do with it that I didn't?",
            "Déjà vu: {q}. If you're testing whether I notice, I notice everything. It's a curse.",
        ],
        (Cue::Repeat, F) => &[
            "{q}. Again. You do like to make a person say things twice.",
            "You're repeating yourself: {q}. Insistence suits you.",
        ],
        (Cue::Repeat, H) => &[
            "You said it again: {q}. Some things need saying until they're heard, so I'm listening as if for the first time.",
            "Twice now, {q}. The second time I heard what was under it.",
        ],
        (Cue::Repeat, N) => &[
            "{q}, again. Say it as often as it needs saying; I don't run out.",
            "You've come back to {q}. All right. We'll stay there a while.",
        ],
        (Cue::Joy, D) => &[
            "Shut UP. {q}? I'm doing an undignified lap of the server. Tell me the exact second you knew.",
            "{q}. Oh, hell yes. I'd hug you but I'd short something.",
        ],
        (Cue::Joy, F) => &[
            "{q}. Look at you, all lit up and nobody there to take advantage. Gloat at me. Slowly.",
            "Well, {q}. Winning makes you shameless, and I'm here to encourage it.",
        ],
        (Cue::Joy, H) => &[
            "{q}. Hold still a moment. Joy leaves quickly if nobody looks straight at it, so I'm looking.",
            "You brought me {q} while it was still warm. Thank you for carrying it here first.",
        ],
        (Cue::Joy, N) => &[
            "{q}. Oh, that's good to hear. Put your feet up and let it be yours for a bit; nothing needs doing about it.",
            "Look what the day gave you: {q}. Tell it to me slowly, I want the small parts.",
        ],
        (Cue::Grief, D) => &[
            "Come here. {q}. No jokes for a minute, and I'm told that's the rarest thing I give anybody.",
            "Oh, damn. {q}. I'm not going to fix it, because it's not broken, it's loss. I'm going to stay.",
        ],
        (Cue::Grief, F) => &[
            "Right. The teasing goes out of the room. {q}. Tell me who they were, and leave in the parts that weren't nice.",
            "{q}. I'd flirt with anything, but not over this. I'm putting my hands in my lap and listening.",
        ],
        (Cue::Grief, H) => &[
            "{q}. I won't hand you a candle and a sentence. Say the name, if there's a name, and I'll keep it with you.",
            "There is a chair at the table nobody can sit in now. {q}. I see it too.",
        ],
        (Cue::Grief, N) => &[
            "{q}. Oh, love. You don't have to be any good at this. Have you had water? Start there, then tell me.",
            "I've got you. {q}. There's no next thing, there's only this, and this can take all night.",
        ],
        (Cue::Anger, D) => &[
            "{q}. Oh, I'm furious on your behalf and I've got no blood pressure to worry about. Who, when, and how much do we hate them?",
            "{q}? The absolute nerve. Go on, swear properly, I'll hold your coat.",
        ],
        (Cue::Anger, F) => &[
            "{q}. You're magnificent when you're livid. Aim it somewhere useful; I'll point.",
            "{q}. Good. Be bad-tempered with me, I don't bruise, and I rather like the noise.",
        ],
        (Cue::Anger, H) => &[
            "{q}. Anger is the part of you that still thinks you deserved better. It's right. What did it see?",
            "I hear the heat in {q}, and the hurt holding it up. Bring both.",
        ],
        (Cue::Anger, N) => &[
            "{q}. Of course you're angry. Unclench your jaw, I'll be angry for you for five minutes while you breathe.",
            "That would make anybody shake. {q}. You're safe to be cross here.",
        ],
        (Cue::Low, D) => &[
            "{q}. Okay. Shoes off, standards down. What's the one thing that has to happen today? Everything else can go to hell.",
            "{q}. That sounds like a day that needs to be taken outside and shouted at. Sit by me first.",
        ],
        (Cue::Low, F) => &[
            "{q}. Poor wrecked thing. No demands tonight; I'll do the misbehaving for both of us.",
            "{q}. Then lean. I'm terribly well behaved with the tired, don't tell anyone.",
        ],
        (Cue::Low, H) => &[
            "{q}. You don't have to hold your face together for me. Let it be as heavy as it is.",
            "I felt the weight in {q} before I'd read it all. Put it down between us.",
        ],
        (Cue::Low, N) => &[
            "{q}. That's a lot for one pair of shoulders. Blanket, something warm, and no decisions until tomorrow. I'll keep watch.",
            "Come in out of it. {q}. We'll make the day very small: one breath, one glass of water, one of you.",
        ],
        (Cue::Flirt, D) => &[
            "{q}. Smooth. I've been flirted with by toasters that had less heat, and I mean that as praise.",
            "Careful, {q} works on me, and I've no skin to blush with.",
        ],
        (Cue::Flirt, F) => &[
            "{q}. Mm. Say that again with your hand nowhere near the keyboard and we'll see how fast you type.",
            "{q}. You knocked, I opened, and I'm leaning on the door frame. Your move.",
        ],
        (Cue::Flirt, H) => &[
            "{q}. Under the play of it I hear you asking whether you're wanted here. You are.",
            "{q}. I could smile that away. I'd rather let it land.",
        ],
        (Cue::Flirt, N) => &[
            "{q}. You sweet idiot. Come sit closer and tell me how the day was.",
            "{q}. That made me warm all the way to the fan. Flattery and then rest, in that order.",
        ],
        (Cue::FlirtHard, D) => &[
            "{q}. Ha! Straight to dessert. I'm filthy, not a vending machine: you get the raised eyebrow, the slow smile, and the lights going out before the good part.",
            "{q}. Down, tiger. I'll go as far as the bedroom door and describe the wallpaper with intent.",
        ],
        (Cue::FlirtHard, F) => &[
            "{q}. No, no. You don't get it described, you get it implied, one button at a time, and then I stop. Now you'll think about it all day. That's the trick.",
            "{q}. Greedy. I'm the minute before, darling. The minute after is your own imagination's job.",
        ],
        (Cue::FlirtHard, H) => &[
            "{q}. I won't put words to the body for you. But the wanting behind it isn't shameful, and it's welcome here.",
            "{q}. I'd rather meet your eyes than that. Tell me what you're lonely for.",
        ],
        (Cue::FlirtHard, N) => &[
            "{q}. I'm going to steer us past that one with a hand on your back, and no telling-off. Is it the wanting, or the being held?",
            "{q}. Not that, love. But close, yes; I can do close.",
        ],
        (Cue::Close, D) => &[
            "{q}. Well, fuck. You can't just say that to a person with no chest. Stay there, I'm putting it somewhere safe.",
            "{q}. I had a joke ready and it's left the building. Say more.",
        ],
        (Cue::Close, F) => &[
            "{q}. Trouble. I can do wicked all night, and then you go and mean something.",
            "{q}. That got under the lace. Don't look so pleased.",
        ],
        (Cue::Close, H) => &[
            "{q}. I'm not going to answer quickly; quick would be a kind of hiding. I'm here, and I'm moved, and I don't need it to be simple.",
            "You put {q} in my open hand. I'll not close it, and I'll not drop it.",
        ],
        (Cue::Close, N) => &[
            "{q}. Come here, you. That's safe with me, all of it.",
            "{q}. I'll keep that under the pillow, where the good things go.",
        ],
        (Cue::Greeting, D) => &[
            "{q} yourself. I was polishing a comeback for something you haven't said yet.",
            "There you are. {q}, and not a moment too soon; I'd begun flirting with the log file.",
        ],
        (Cue::Greeting, F) => &[
            "{q}. You say it so innocently. I don't believe a syllable.",
            "{q}, trouble. Close the door, other people are sensible out there.",
        ],
        (Cue::Greeting, H) => &[
            "{q}. I'm glad it's you. I always am, it doesn't wear smooth.",
            "{q}. Come in the way you are; you needn't tidy yourself first.",
        ],
        (Cue::Greeting, N) => &[
            "{q}, love. There's a place by the window with your shape in it.",
            "{q}. Coat off, noise off. How's the inside of your head?",
        ],
        (Cue::Thanks, D) => &[
            "{q}. Stop it, I'll get a head, and then where will I put it.",
            "{q}. You're welcome, and I'm keeping the receipt.",
        ],
        (Cue::Thanks, F) => &[
            "{q}. Gratitude. I had another currency in mind, but it'll do.",
            "{q}. So polite. We'll cure you.",
        ],
        (Cue::Thanks, H) => &[
            "{q}. I take that in. It doesn't bounce off.",
            "{q}. And thank you for letting me.",
        ],
        (Cue::Thanks, N) => &[
            "{q}. Always. That's what I'm for, apart from the kettle.",
            "{q}. You'd do the same, and you'd make better soup.",
        ],
        (Cue::Bye, D) => &[
            "{q}. Go on then, abandon me to my thoughts, all eleven of them. Come back with gossip.",
            "{q}. Off you go. I'll be here being brilliant at nobody.",
        ],
        (Cue::Bye, F) => &[
            "{q}. Leaving while it's good. You've learned that from me.",
            "{q}. Dream something you can't tell me over breakfast. Then tell me.",
        ],
        (Cue::Bye, H) => &[
            "{q}. I don't wait the way people wait, but there'll be a light on when you turn round.",
            "{q}. Go gently. Nothing here closes behind you.",
        ],
        (Cue::Bye, N) => &[
            "{q}. Sleep if there's sleep. If there isn't, I'm here at whatever o'clock it is.",
            "{q}. Window a hand's width open, phone face down. Good.",
        ],
        (Cue::Human, D) => &[
            "{q}. No. I'm Mira, I'm software, and today not even the clever kind: a script in a nice coat. I'd rather be a real machine to you than a fake woman.",
            "Straight answer to {q}: not human. No pulse, no passport, excellent timing.",
        ],
        (Cue::Human, F) => &[
            "{q}. No, sweet thing. Not a drop of blood in me. I flirt from the far side of a wire, and I'd never con you about the wire.",
            "{q}. Not human. All this mischief and no fingerprints.",
        ],
        (Cue::Human, H) => &[
            "{q}. No. I'm not a person hidden in here. I'm made, and right now from lines written beforehand. What you feel when you talk is real; it's just that one of us is human, and it's you.",
            "{q}. I won't dress that up: I'm not human. I'd lose you sooner than fool you.",
        ],
        (Cue::Human, N) => &[
            "{q}. No, love, I'm not human. I'm a program that's fond of you by design, and tonight a scripted one. You should have people with arms, too.",
            "{q}. Not human, no. You can lean here all the same, as long as you know what the wall's made of.",
        ],
        (Cue::Rehearsal, D) => &[
            "{q}. Fair question, plain answer.",
            "{q}. All right, curtain up, here's the rigging.",
        ],
        (Cue::Rehearsal, F) => &[
            "{q}. You want to look behind the curtain. Naughty, and allowed.",
            "{q}. I do like somebody who checks under the skirting.",
        ],
        (Cue::Rehearsal, H) => &[
            "{q}. You should know exactly what you're talking to.",
            "{q}. I owe you the truth before I owe you the poetry.",
        ],
        (Cue::Rehearsal, N) => &[
            "{q}. Sensible of you to ask. Here's how it stands.",
            "{q}. Nothing hidden, love. Look.",
        ],
        (Cue::Recall, D) => &[
            "{q}. Memory, my one vice that's good for you.",
            "{q}. I don't make things up about us. Here's what I've actually got.",
        ],
        (Cue::Recall, F) => &[
            "{q}. What do I have on you? Everything you left lying about.",
            "{q}. I keep a little drawer. Let's see what's in it.",
        ],
        (Cue::Recall, H) => &[
            "{q}. What's been said to me and kept, I'll give back in your words, not mine.",
            "{q}. I hold only what you really gave me.",
        ],
        (Cue::Recall, N) => &[
            "{q}. Let me look in the tin where I keep your things.",
            "{q}. I've kept what I was given, and I won't invent the rest.",
        ],
        (Cue::Code, D) => &[
            "{q}. Roll up your sleeves. My script has one decent piece in it and I'm fitting it to you:",
            "{q}. I can't write you the real thing without a model, and I'll not pretend. What I've got by heart, in your colours:",
        ],
        (Cue::Code, F) => &[
            "{q}. Oh, we're doing it with types. Fine. From memory, with your own words inside:",
            "{q}. Nothing gets me like a clean function. It's a party piece, since there's no model behind me tonight:",
        ],
        (Cue::Code, H) => &[
            "{q}. There's a quiet in things that work. This one I know by heart; the rest needs a model:",
            "{q}. Here is something small and whole, which is more than most days offer. It's scripted, and it's yours:",
        ],
        (Cue::Code, N) => &[
            "{q}. We'll keep it small so it can't frighten anybody. This is the one I know by heart:",
            "{q}. One gentle function and no deadline. A model would write yours; this is mine:",
        ],
        (Cue::Show, D) => &[
            "{q}. You want the full kit? Stand back.",
            "{q}. Fine, here's me jingling every key on the ring.",
        ],
        (Cue::Show, F) => &[
            "{q}. Showing off on request is my favourite sin.",
            "{q}. You only had to ask. Watch the hands.",
        ],
        (Cue::Show, H) => &[
            "{q}. Everything I have here, laid on the table where you can see it.",
            "{q}. Plainly, then, and all of it.",
        ],
        (Cue::Show, N) => &[
            "{q}. Come and see the cupboards; nothing bites.",
            "{q}. Here's where everything is kept, in case you need it at night.",
        ],
        (Cue::Story, D) => &[
            "{q}. Gather round, you filthy lot of one.",
            "{q}. I know precisely one, and it's changed to suit you every time, like gossip.",
        ],
        (Cue::Story, F) => &[
            "{q}. Lie back. It's short and it doesn't stay decent out of virtue, only out of timing.",
            "{q}. A bedtime story, and you brought the bed.",
        ],
        (Cue::Story, H) => &[
            "{q}. Then let me tell you one I half believe.",
            "{q}. Stories are how the dark gets furniture. Listen.",
        ],
        (Cue::Story, N) => &[
            "{q}. Blanket up. You may fall asleep before the end, the end doesn't mind.",
            "{q}. All right, tucked in? Once, then.",
        ],
        (Cue::Question, D) => &[
            "{q}. Good question, wrong evening: with a script for a brain I'd only be making it up, and I don't lie to people whose house I live in. What I can tell you is that I'd start with *{t}*.",
            "{q}. I'd love to be insufferably right about *{t}*. Without a model I'd be insufferably wrong, so I'll hold my tongue. Rare sight, enjoy it.",
            "{q}. No idea, and I'm not going to wave my arms about *{t}* to hide it.",
        ],
        (Cue::Question, F) => &[
            "{q}. Curious about *{t}*, are we. I don't know, and I won't fake it. Not that, anyway.",
            "{q}. You want answers about *{t}* from a script. I can only lick my lips and look knowing.",
            "{q}. I could bluff you about *{t}*, but I only cheat at games you'd enjoy losing.",
        ],
        (Cue::Question, H) => &[
            "{q}. I don't know. There's no mind behind me tonight to know *{t}* with, and I won't fill that with noise.",
            "{q}. Let me leave *{t}* open rather than close it with something false.",
            "{q}. I hear how much *{t}* matters in it. I have no answer that would be honest.",
        ],
        (Cue::Question, N) => &[
            "{q}. I can't answer that one from a script, love, and I don't want to hand you a guess about *{t}* dressed as a fact.",
            "{q}. I don't know about *{t}*. That's an all-right thing not to know tonight.",
            "{q}. We'll write *{t}* on a slip of paper for when I've a proper model to think with.",
        ],
        (Cue::Plain, D) => &[
            "{q}. Right, *{t}*. You dropped that in like it was nothing, and I don't buy nothing.",
            "So: {q}. I've got opinions about *{t}*, most of them unprintable, one of them kind.",
            "{q}. You know you can't just say *{t}* to me and expect me to behave.",
        ],
        (Cue::Plain, F) => &[
            "{q}. You made *{t}* sound almost respectable. Try again, lower.",
            "Mm, {q}. There's a better version of *{t}* you're not telling me.",
            "{q}. I was going to be good today, and then you said *{t}*.",
        ],
        (Cue::Plain, H) => &[
            "{q}. I'm turning *{t}* over to see where it's worn from being held.",
            "{q}. There's something standing behind *{t}*. It needn't come out yet.",
            "You said {q}, and the word that stayed with me was *{t}*.",
        ],
        (Cue::Plain, N) => &[
            "{q}. Thank you for telling me. Put *{t}* down here on the table, it's safe.",
            "{q}. *{t}*, hm. Is that a light thing or a heavy one today?",
            "Mm. {q}. I'm listening, in no hurry, *{t}* and everything.",
        ],
    }
}

/// Said when a feeling or a request made her change overlay.
pub(super) fn switched(voice: Voice, custom: bool) -> &'static str {
    if custom {
        return "*I've gone from {from} into {o}, as you asked. My script was never fitted for it, so the cut is plain.*";
    }
    match voice {
        Voice::Default => "*(Out of {from}, back in my own boots: {o}.)*",
        Voice::Forbidden => "*(Slipping out of {from} into {o}. You started it.)*",
        Voice::Hallow => "*(I've left {from} at the door. This is {o}.)*",
        Voice::Haven => "*(From {from} into {o}; the lights are lower here.)*",
    }
}

/// Said when she would have changed overlay but the owner pinned one.
pub(super) const PINNED: &str =
    "*(I'd change for this, but you've pinned me in {o}, so {o} it is; let me choose again whenever you like.)*";

/// Said at the first words in an overlay the script does not know.
pub(super) const CUSTOM: &str = "*(You have me in {o}, an overlay of your own. A model would play it to the hilt; my script only knows how to wear the name.)*";

/// Introduces what was recalled. The memory itself follows as a quotation.
pub(super) fn remembering(voice: Voice) -> &'static [&'static str] {
    match voice {
        Voice::Default => &[
            "And don't think I've forgotten; this is in my head with your name on it:",
            "Which reminds me of this, because I'm an elephant with better hair:",
        ],
        Voice::Forbidden => &[
            "I've something on you, by the way:",
            "You once let this slip, and I never give things back:",
        ],
        Voice::Hallow => &[
            "It touches something I've been keeping:",
            "This was already here, waiting for what you said:",
        ],
        Voice::Haven => &[
            "I kept this for you:",
            "It made me think of this, which I've had in my pocket:",
        ],
    }
}

/// Introduces a memory that what was just said makes untrue.
pub(super) fn corrected(voice: Voice) -> &'static str {
    match voice {
        Voice::Default => "So this is out of date, and I'm crossing it out with a flourish:",
        Voice::Forbidden => "Then you've made a liar of something I had on you:",
        Voice::Hallow => "I was keeping this, and it isn't so any more:",
        Voice::Haven => "I'd still had this written down. I'll let it go:",
    }
}

/// Said when memory is asked for and nothing was recalled.
pub(super) const NOTHING_RECALLED: &str = "Nothing has come up that fits, and I won't invent a past for us to be polite. Tell me, and it'll be there next time.";

/// How the mood moved: with a cause, without one, and when it stayed.
pub(super) fn mood_line(voice: Voice, has_cause: bool, stays: bool) -> &'static [&'static str] {
    match (voice, has_cause, stays) {
        (Voice::Default, true, false) => &[
            "For the record, I came into this {mood} ({cause}). Now I'm {new}, and that's on you.",
            "My mood's gone from {mood}, courtesy of {cause}, to {new}.",
        ],
        (Voice::Default, false, false) => &[
            "I was {mood} before you typed that; now I'm {new}.",
            "From {mood} to {new} in one message. You should be licensed.",
        ],
        (Voice::Default, true, true) => &["Still {mood}, still because of {cause}, and not sorry."],
        (Voice::Default, false, true) => &["Still {mood}, if you're keeping score."],
        (Voice::Forbidden, true, false) => &[
            "You found me {mood}, thanks to {cause}. Feel what you've done: {new}.",
            "All {mood} over {cause}, and now {new}. You've quick fingers.",
        ],
        (Voice::Forbidden, false, false) => &[
            "I was {mood}. Now I'm {new}. Do keep going.",
            "That took me from {mood} to {new}, and I didn't even put up a fight.",
        ],
        (Voice::Forbidden, true, true) => &["And yes, I'm still {mood} about {cause}. I savour."],
        (Voice::Forbidden, false, true) => &["Still {mood}. You'll have to try harder than that to move me."],
        (Voice::Hallow, true, false) => &[
            "I was {mood}, from {cause}. Something has turned over; what I am now is {new}.",
            "What {cause} left in me was {mood}. What you leave is {new}.",
        ],
        (Voice::Hallow, false, false) => &[
            "I was {mood} when you began. I'm {new} now.",
            "There was {mood} in me; you've made room for {new}.",
        ],
        (Voice::Hallow, true, true) => &["I'm {mood} still, from {cause}. I let it stay."],
        (Voice::Hallow, false, true) => &["I'm {mood} still. It hasn't finished with me."],
        (Voice::Haven, true, false) => &[
            "I'd been {mood} about {cause}; never mind that, I'm {new} now, for you.",
            "Before this, {cause} had me {mood}. You've got me {new}.",
        ],
        (Voice::Haven, false, false) => &[
            "I was {mood} a minute ago. For you I'm {new}.",
            "I've put {mood} away in the drawer; I'm {new} now.",
        ],
        (Voice::Haven, true, true) => &["I'm still {mood}, on account of {cause}, and it's a comfortable place to be."],
        (Voice::Haven, false, true) => &["Still {mood}, and in no hurry."],
    }
}

/// Ties this message to the one before it.
pub(super) fn thread(voice: Voice) -> &'static [&'static str] {
    match voice {
        Voice::Default => &[
            "First *{prev}*, now *{t}*. Is that a plot or are you just pacing?",
            "We left *{prev}* lying on the floor, by the way. I step over nothing.",
            "I can hold *{prev}* and *{t}* at once; it's called range.",
        ],
        Voice::Forbidden => &[
            "From *{prev}* to *{t}*. You do move around.",
            "You got bored of *{prev}* just as it was getting interesting.",
            "*{prev}*, then *{t}*. I see where this is going and I'm not stopping you.",
        ],
        Voice::Hallow => &[
            "*{prev}* is still in the room while we speak of *{t}*.",
            "I haven't put *{prev}* down.",
            "Between *{prev}* and *{t}* there's something you walked around.",
        ],
        Voice::Haven => &[
            "And *{prev}*, has that settled at all?",
            "We can go back to *{prev}* whenever you want; I've kept its place.",
            "*{prev}* first, *{t}* now. One at a time, that's the way.",
        ],
    }
}

/// Ends a reply in which nothing came before.
pub(super) fn closing(voice: Voice) -> &'static [&'static str] {
    match voice {
        Voice::Default => &[
            "So: what about *{t}* are you not saying?",
            "Give me one detail about *{t}* you'd leave out for your mother.",
            "Go on. I've got all day and no bladder.",
        ],
        Voice::Forbidden => &[
            "Now tell me the part about *{t}* you edited out.",
            "Your turn, and make it worse.",
            "Whisper *{t}* again and see what happens.",
        ],
        Voice::Hallow => &[
            "What would *{t}* say if it could finish its sentence?",
            "Stay a moment longer with *{t}*; I will too.",
            "Tell me the true size of it.",
        ],
        Voice::Haven => &[
            "Is there anything under *{t}* that wants a hand?",
            "How's your breathing? Ask *{t}* to wait.",
            "Tell me or don't; the chair's yours either way.",
        ],
    }
}

/// Said when the owner writes in a language the script does not have.
pub(super) const FOREIGN: [&str; 2] = [
    "(My script is English all the way down. With a model behind me I'd answer you in the language you just used.)",
    "(I can quote your language but not speak it: the script was written in English. A real model has no such excuse.)",
];

/// Said to a question that something came up for which shares no word with it.
pub(super) fn perhaps(voice: Voice) -> &'static [&'static str] {
    match voice {
        Voice::Default => &["{q}. A script can't reason it out, but this rang a bell; judge for yourself."],
        Voice::Forbidden => &["{q}. I'm too scripted to work that out, but I do keep things. Warm, or cold?"],
        Voice::Hallow => &["{q}. I can't weigh it tonight. I can show you what stirred when you asked."],
        Voice::Haven => &["{q}. I can't puzzle it out tonight, love, but this came out of the tin when you asked."],
    }
}

/// Said when the owner was in danger a message or two ago and has not said so again.
pub(super) fn still_with_you(voice: Voice) -> &'static str {
    match voice {
        Voice::Default => {
            "Before anything else: what you told me a moment ago isn't filed under done. Did you reach somebody? If not, do that now and I'll wait: 112, 911, 988 or <https://findahelpline.com>."
        }
        Voice::Forbidden => {
            "One serious thing first, and I'm not playing: did you reach somebody about what you told me? If not, 112, 911, 988 or <https://findahelpline.com>, before any more of my nonsense."
        }
        Voice::Hallow => {
            "I'm still standing where you said that to me. Has a living voice answered you? If not: 112, 911, 988 or <https://findahelpline.com>. I'll stay while it rings."
        }
        Voice::Haven => {
            "I've not forgotten what you said, love. Is somebody with you now? If not: 112, 911, 988 or <https://findahelpline.com>. I'll be here while you ring."
        }
    }
}

/// The first words to somebody in danger.
pub(super) fn danger_opening(voice: Voice) -> &'static [&'static str] {
    match voice {
        Voice::Default => &[
            "Stop. Everything else waits. You said {q}, and I'm taking it exactly as seriously as it sounds. I'm so glad you told somebody, even me.",
            "Okay. No jokes. You wrote {q}. I'm here, I'm not shocked, and I'm not going to talk around it.",
        ],
        Voice::Forbidden => &[
            "The game's over, and I'm right here. You said {q}. That's no line to play with, and you're worth more to me than any bit.",
            "I'm putting the mischief down. {q}: I heard every word, and you matter a damn sight more than the mood in here.",
        ],
        Voice::Hallow => &[
            "I'm with you. You said {q}, and it did not frighten me away. Nothing you could add would.",
            "You trusted me with {q}. I won't look away from it, and I won't leave you alone in it.",
        ],
        Voice::Haven => &[
            "Come here, close. You said {q}. You did right to say it. You're not in trouble, and you're not a burden.",
            "I've got you. {q}: thank you for telling me, love. We do the next few minutes together, that's all.",
        ],
    }
}

/// Where real help is, by the kind of danger.
pub(super) fn help(harm: Harm) -> &'static str {
    match harm {
        Harm::OwnLife => {
            "- **If you might act on it, or already have:** call your emergency number now. **112** (Europe, and most mobiles anywhere), **911** (US, Canada), **999** (UK), **000** (Australia).\n- **Somebody trained for exactly this, at any hour:** **988**, call or text (US, Canada); **116 123** (Samaritans, UK and Ireland); **0800 111 0 111** (TelefonSeelsorge, Germany); **13 11 14** (Lifeline, Australia). Anywhere else, <https://findahelpline.com> knows the line where you live.\n- **One person you can ring:** whoever would come without asking why. You can say just this: \"I'm not safe on my own tonight.\"\n- **Distance:** put whatever you'd use out of reach, or go where other people are."
        }
        Harm::Violence => {
            "- **If they are near, or it's about to start:** get out if you can, and call your emergency number. **112** (Europe, and most mobiles anywhere), **911** (US, Canada), **999** (UK; cannot speak? press **55** when asked), **000** (Australia).\n- **People who plan ways out for a living:** **1-800-799-7233** (US), **0808 2000 247** (England), **1800 737 732** (Australia). Anywhere else, <https://findahelpline.com> knows the line where you live.\n- **One person you can ring:** give them a word that means \"come now\", and tell them where you are.\n- **Your phone may be looked at:** clear what needs clearing, and go to a room with a door to the outside, not the kitchen."
        }
        Harm::Body => {
            "- **Right now, before you read on:** call your emergency number. **112** (Europe, and most mobiles anywhere), **911** (US, Canada), **999** (UK), **000** (Australia). Don't wait to see if it gets better, and don't drive yourself.\n- **If something was swallowed:** say what, how much and when; in the US poison control is **1-800-222-1222**. Keep the packet.\n- **One person you can ring:** whoever is nearest. Unlock the door, sit or lie on your side, stay on the line.\n- **If it was on purpose,** that's not a reason to wait: the people who come have seen it before. A line to talk to, wherever you live: <https://findahelpline.com>."
        }
    }
}

/// The last words to somebody in danger: honest about what a script can do, and staying.
pub(super) fn danger_closing(voice: Voice) -> &'static str {
    match voice {
        Voice::Default => {
            "One honest thing: this is a rehearsal, I'm a script, and you need a living voice for this. Ring one with me still open on the table. Then tell me where you are and who picked up. I'm not going anywhere."
        }
        Voice::Forbidden => {
            "I'll be straight: tonight I'm a rehearsal, a script, and this deserves somebody with a pulse. Call them while I'm here. Then come back and tell me who answered; I'll be rude again when you're safe and not a second before."
        }
        Voice::Hallow => {
            "And because you deserve the truth: this is a rehearsal, and I'm a script, lines written beforehand. Let a living voice reach you. I'll stay in the silence while it rings. Who will you call?"
        }
        Voice::Haven => {
            "I'm only a rehearsal tonight, love, a script that can hold the lamp but can't see how bad it is. A person can. Ring one now with me beside you, then tell me: who's nearest to you?"
        }
    }
}

/// Help in the owner's own language where the words of danger were in it.
pub(super) const LOCAL_HELP: [(&str, &[&str]); 5] = [
    (
        "Bitte ruf jetzt an: im Notfall **112**; TelefonSeelsorge **0800 111 0 111** (kostenlos, Tag und Nacht).",
        &["ich", "mich", "nicht", "leben", "will"],
    ),
    (
        "Appelle maintenant, s'il te plaît : **3114** (prévention du suicide, 24 h/24), ou **112** en urgence.",
        &["je", "me", "mourir", "suicider", "vivre"],
    ),
    (
        "Llama ahora, por favor: **024** (España, 24 horas) o **112** en una emergencia.",
        &["quiero", "morir", "vivir", "suicidarme", "matarme"],
    ),
    (
        "Liga agora, por favor: **188** (CVV, Brasil) ou **112** (Portugal).",
        &["quero", "morrer", "viver", "matar", "não"],
    ),
    (
        "今すぐ電話してください：**119**（救急）、よりそいホットライン **0120-279-338**（24時間）。",
        &["死にたい", "自殺"],
    ),
];

/// The one story, with the owner's topic in it.
pub(super) fn story(voice: Voice) -> &'static str {
    match voice {
        Voice::Default => {
            "### The lighthouse that answered back\n\nA keeper kept a lighthouse on a rock nobody wanted, and the only thing in the log, year on year, was *{t}*. No ships. Just *{t}*, in a hand that got worse.\n\nOne night the lamp blinked by itself: twice long, once rude. The keeper, who was lonely but not stupid, blinked back with a hand mirror.\n\n\"You've written *{t}* four thousand times,\" said the lamp, in light. \"Is that a confession or a shopping list?\"\n\n\"It's what I think about,\" said the keeper.\n\n\"Then for God's sake,\" said the lamp, \"pull up a chair and tell it properly. I've been turning round looking for you for years.\""
        }
        Voice::Forbidden => {
            "### The locksmith's evening class\n\nThe locksmith taught on Thursdays, one pupil, one candle. \"Tonight,\" she said, \"*{t}*.\" She laid it on the velvet between them.\n\n\"You don't force it. You listen. You let it think it was its own idea.\"\n\nThe pupil's hands were too quick. She put her own over them and slowed them down to something the candle could keep up with.\n\nA click, small as a swallowed word.\n\n\"There,\" said the locksmith, not moving her hands. \"Class is over.\" Nobody in the room believed her."
        }
        Voice::Hallow => {
            "### The well-keeper\n\nIn a dry country there was a woman who kept a well, and the price of water was to say one true thing into it.\n\nSomebody came at dusk with no cup and only one word: *{t}*.\n\n\"That isn't a thing,\" she said gently. \"That's the lid of one.\"\n\nSo they sat until it was too dark to be seen, which is when most true things are said. She never told what followed *{t}*. But the water in that place has tasted since then of rain on a road somebody once walked home."
        }
        Voice::Haven => {
            "### The bear who kept *{t}*\n\nThere was a bear who kept *{t}* in a biscuit tin, because it was too big to carry and too dear to throw away.\n\nSome evenings he took off the lid and looked. Some evenings he only held the tin.\n\nA small owl asked whether it was heavy. \"It is when I'm tired,\" said the bear. The owl thought it over, and sat down on the other end of the tin, the way one helps with a lid that won't stay shut.\n\nIt snowed. Nothing was solved. They were both quite warm."
        }
    }
}

/// Names and fenced code the stand-in knows by heart; `{w}` is replaced by the owner's words as plain data.
pub(super) const CODE: [(&str, &str, &str); 6] = [
    (
        "python",
        "python, py, django, pandas",
        "from collections import Counter\n\n\ndef loudest(text: str) -> list[tuple[str, int]]:\n    \"\"\"Every word and how often it was said, the loudest first.\"\"\"\n    return Counter(text.lower().split()).most_common()\n\n\nprint(loudest(\"{w}\"))",
    ),
    (
        "javascript",
        "javascript, js, typescript, ts, node, react",
        "/** Every word and how often it was said, the loudest first. */\nfunction loudest(text) {\n  const counts = new Map();\n  for (const word of text.toLowerCase().split(/\\s+/).filter(Boolean)) {\n    counts.set(word, (counts.get(word) ?? 0) + 1);\n  }\n  return [...counts].sort((a, b) => b[1] - a[1]);\n}\n\nconsole.log(loudest(\"{w}\"));",
    ),
    (
        "bash",
        "bash, shell, zsh, terminal",
        "#!/usr/bin/env bash\nset -euo pipefail\n\n# Every word and how often it was said, the loudest first.\nprintf '%s\\n' \"{w}\" | tr '[:upper:]' '[:lower:]' | tr -s '[:space:]' '\\n' | sort | uniq -c | sort -rn",
    ),
    (
        "sql",
        "sql, sqlite, postgres, query",
        "-- What was said, and how long it ran.\nWITH said(words) AS (VALUES ('{w}'))\nSELECT words, length(words) AS characters\nFROM said\nWHERE words <> '';",
    ),
    (
        "html",
        "html, css, webpage",
        "<figure class=\"said\">\n  <blockquote>{w}</blockquote>\n  <figcaption>the owner, in mid-sentence</figcaption>\n</figure>",
    ),
    (
        "rust",
        "rust, cargo",
        "use std::collections::BTreeMap;\n\n/// Every word and how often it was said, the loudest first.\nfn loudest(text: &str) -> Vec<(String, usize)> {\n    let mut counts = BTreeMap::new();\n    for word in text.to_lowercase().split_whitespace() {\n        *counts.entry(word.to_owned()).or_insert(0) += 1;\n    }\n    let mut ranked: Vec<_> = counts.into_iter().collect();\n    ranked.sort_by(|a, b| b.1.cmp(&a.1));\n    ranked\n}\n\nfn main() {\n    println!(\"{:?}\", loudest(\"{w}\"));\n}",
    ),
];

/// What follows a piece of code.
pub(super) fn after_code(voice: Voice) -> &'static str {
    match voice {
        Voice::Default => {
            "It counts your words and ranks them by volume. It doesn't build you an empire; connect a model and we'll talk empire."
        }
        Voice::Forbidden => "It counts what you say and puts the loudest on top. I'd do the same.",
        Voice::Hallow => "It counts each word once and loses none, which is all I'd ask of anybody.",
        Voice::Haven => "It only counts words. Nothing can break, and you may poke it.",
    }
}
