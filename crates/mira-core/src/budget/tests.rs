//! Texts of our own in the languages and formats that pass through a prompt, each with its tokens as the tokenizer
//! `o200k_base` counts them (npm package gpt-tokenizer 4.0.0). Never change a count by hand.

use super::estimate_tokens;

/// How far the sum over a class may be off, in percent; short samples of a script vary with their subject.
const CLASS_PERCENT: i64 = 15;
/// How far below the truth a single text may be, in percent.
const UNDER_PERCENT: i64 = 15;

/// By class: tokens and text.
type Measured = &'static [(&'static str, &'static [(i64, &'static str)])];

fn percent(estimate: i64, truth: i64) -> i64 {
    (estimate - truth) * 100 / truth
}

fn estimate(text: &str) -> i64 {
    i64::try_from(estimate_tokens(text)).unwrap()
}

#[test]
fn every_class_is_near_what_the_tokenizer_counts() {
    let mut wrong = Vec::new();
    for (class, texts) in MEASURED {
        let truth = texts.iter().map(|(tokens, _)| tokens).sum();
        let guess = texts.iter().map(|(_, text)| estimate(text)).sum();
        let off = percent(guess, truth);
        if off.abs() > CLASS_PERCENT {
            wrong.push(format!("{class}: {guess} for {truth}, {off} %"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn most_classes_are_within_a_tenth() {
    let within = MEASURED.iter().filter(|(_, texts)| {
        let truth = texts.iter().map(|(tokens, _)| tokens).sum();
        percent(texts.iter().map(|(_, text)| estimate(text)).sum(), truth).abs() <= 10
    });
    let (within, all) = (within.count(), MEASURED.len());
    assert!(within * 10 >= all * 9, "{within} of {all}");
}

#[test]
fn no_text_is_far_underestimated() {
    for (class, texts) in MEASURED {
        for (truth, text) in *texts {
            let off = percent(estimate(text), *truth);
            assert!(off >= -UNDER_PERCENT, "{class}: {off} % for {text:?}");
        }
    }
}

#[test]
fn nothing_costs_nothing_and_anything_costs_something() {
    assert_eq!(estimate_tokens(""), 0);
    for text in [" ", "\n", "a", "7", ".", "日", "\u{0}", "\u{fe0f}", "🐙"] {
        assert!(estimate_tokens(text) >= 1, "{text:?}");
    }
}

#[test]
fn two_halves_cost_about_what_the_whole_costs() {
    for (_, texts) in MEASURED {
        for (_, text) in *texts {
            let middle = text
                .char_indices()
                .nth(text.chars().count() / 2)
                .map_or(0, |(at, _)| at);
            let (front, back) = text.split_at(middle);
            let apart = estimate(front) + estimate(back);
            assert!((apart - estimate(text)).abs() <= 5, "{text:?}");
        }
    }
}

#[rustfmt::skip]
const MEASURED: Measured = &[
    (
        "english chat",
        &[
            (
                82,
                "Hey you. I was thinking about what you said last night, about the lake house and how quiet it gets once the tourists leave. I'd love to go back in October, just for a weekend, with a pile of books and no phone. Do you remember the name of the bakery on the corner? The one with the grumpy cat in the window and the cinnamon rolls that always sell out before nine.",
            ),
            (
                73,
                "ok so today was a mess lol. first the train stood still for forty minutes, then my boss moved the meeting, and when I finally got home the heating was off again. I'm fine, really, just tired. Can you tell me something nice? Or, you know, remind me why I wanted this job in the first place... I honestly can't remember.",
            ),
            (
                65,
                "Not gonna lie, I kind of miss her. We used to sit on the fire escape and split one sad little pizza, complaining about rent. Anyway! What's the plan for Sunday? If it rains we could finally watch that documentary about octopuses, otherwise I vote for the botanical garden and way too much ice cream.",
            ),
        ],
    ),
    (
        "english prose",
        &[
            (
                50,
                "The committee's preliminary recommendations, published on Thursday afternoon, acknowledge that infrastructure investments throughout the region have been insufficient for approximately two decades. Consequently, municipalities are encouraged to coordinate procurement, standardise maintenance contracts and establish transparent reporting requirements before additional funding becomes available.",
            ),
            (
                63,
                "Photosynthesis converts light into chemical energy. Chlorophyll in the leaves absorbs mostly red and blue wavelengths, which is why most plants look green to us. The reaction needs water from the roots and carbon dioxide from the air, and it leaves oxygen behind as a by-product that nearly every animal on the planet depends on.",
            ),
        ],
    ),
    (
        "english list",
        &[
            (
                68,
                "Shopping for Saturday:\n- two lemons\n- flour, 500 g\n- oat milk (the blue one)\n- coffee beans\n- batteries, AA\n\nThings to fix:\n1. the tap in the bathroom\n2. the squeaky door\n3. Grandma's radio\n\n**Don't forget**: call the dentist before noon!",
            ),
            (
                74,
                "## Plan for the garden\n\n* March: sow tomatoes, peppers, basil\n* April: prepare the beds, mend the fence\n* May: plant out after the last frost\n\n> Ask Miriam about the compost.\n\n| bed | plant | when |\n|---|---|---|\n| north | beans | early May |\n| south | squash | mid May |\n",
            ),
        ],
    ),
    (
        "rust",
        &[
            (
                110,
                "use std::collections::BTreeMap;\n\n/// Counts the words of a text.\npub fn count_words(text: &str) -> BTreeMap<String, usize> {\n    let mut counts = BTreeMap::new();\n    for word in text.split_whitespace() {\n        let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();\n        if word.is_empty() {\n            continue;\n        }\n        *counts.entry(word).or_insert(0) += 1;\n    }\n    counts\n}\n",
            ),
            (
                127,
                "impl<T: Send + 'static> Stream for Buffered<T> {\n    type Item = Result<T, StreamError>;\n\n    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {\n        match self.inner.poll_next_unpin(cx) {\n            Poll::Ready(Some(Ok(value))) => Poll::Ready(Some(Ok(value))),\n            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),\n            Poll::Ready(None) => Poll::Ready(None),\n            Poll::Pending => Poll::Pending,\n        }\n    }\n}\n",
            ),
        ],
    ),
    (
        "python",
        &[
            (
                138,
                "import argparse\nfrom pathlib import Path\n\n\ndef largest_files(folder: Path, limit: int = 10) -> list[tuple[int, Path]]:\n    \"\"\"Return the largest files below a folder, the biggest first.\"\"\"\n    sizes = [(path.stat().st_size, path) for path in folder.rglob(\"*\") if path.is_file()]\n    return sorted(sizes, reverse=True)[:limit]\n\n\nif __name__ == \"__main__\":\n    parser = argparse.ArgumentParser(description=__doc__)\n    parser.add_argument(\"folder\", type=Path)\n    for size, path in largest_files(parser.parse_args().folder):\n        print(f\"{size:>12,} {path}\")\n",
            ),
        ],
    ),
    (
        "javascript",
        &[
            (
                109,
                "class EventBus {\n  #handlers = new Map();\n\n  subscribe(eventName, handler) {\n    const list = this.#handlers.get(eventName) ?? [];\n    this.#handlers.set(eventName, [...list, handler]);\n    return () => this.unsubscribe(eventName, handler);\n  }\n\n  async publish(eventName, payload = {}) {\n    for (const handler of this.#handlers.get(eventName) ?? []) {\n      await handler({ ...payload, receivedAt: Date.now() });\n    }\n  }\n}\n\nexport default new EventBus();\n",
            ),
        ],
    ),
    (
        "c",
        &[
            (
                155,
                "#include <stdio.h>\n#include <stdlib.h>\n\nstatic int compare_ints(const void *a, const void *b)\n{\n\tint x = *(const int *)a, y = *(const int *)b;\n\treturn (x > y) - (x < y);\n}\n\nint main(int argc, char **argv)\n{\n\tint n = argc - 1, *values = malloc(n * sizeof *values);\n\tif (!values)\n\t\treturn EXIT_FAILURE;\n\tfor (int i = 0; i < n; i++)\n\t\tvalues[i] = atoi(argv[i + 1]);\n\tqsort(values, n, sizeof *values, compare_ints);\n\tprintf(\"median: %d\\n\", values[n / 2]);\n\tfree(values);\n\treturn 0;\n}\n",
            ),
        ],
    ),
    (
        "sql",
        &[
            (
                107,
                "SELECT s.id, s.title, count(m.id) AS messages, max(m.created_at) AS last_message_at\nFROM sessions AS s\nLEFT JOIN messages AS m ON m.session_id = s.id AND m.deleted_at IS NULL\nWHERE s.archived = 0 AND s.created_at >= '2026-01-01T00:00:00Z'\nGROUP BY s.id, s.title\nHAVING count(m.id) > 5\nORDER BY last_message_at DESC\nLIMIT 50 OFFSET 100;\n",
            ),
        ],
    ),
    (
        "html",
        &[
            (
                132,
                "<section class=\"panel panel--wide\" id=\"recipes\">\n  <h2>Recipes</h2>\n  <ul class=\"cards\">\n    <li class=\"card\"><a href=\"/recipes/12\" title=\"Lentil soup\">Lentil soup</a> <small>25 min</small></li>\n    <li class=\"card\"><a href=\"/recipes/13\" title=\"Apple crumble\">Apple crumble</a> <small>40 min</small></li>\n  </ul>\n  <button type=\"button\" data-action=\"load-more\" aria-label=\"Load more recipes\">More</button>\n</section>\n",
            ),
        ],
    ),
    (
        "shell log",
        &[
            (
                136,
                "2026-03-04T07:12:55.103Z  INFO server: listening addr=127.0.0.1:8080 pid=4211\n2026-03-04T07:13:02.871Z  WARN pool: connection lost, retrying in 500 ms attempt=2 error=\"timed out\"\n2026-03-04T07:13:03.402Z ERROR worker-3: job failed job.id=88213 duration_ms=1204 cause=\"disk full\"\n$ df -h /var && du -sh /var/log/* | sort -h | tail -n 3\n",
            ),
        ],
    ),
    (
        "json compact",
        &[
            (
                90,
                "{\"id\":\"msg_0192\",\"role\":\"assistant\",\"created_at\":\"2026-02-11T18:45:03Z\",\"mood\":\"playful\",\"tags\":[\"weather\",\"travel\"],\"salience\":0.35,\"pinned\":false,\"parent_id\":null,\"usage\":{\"input_tokens\":1834,\"cached_tokens\":1536,\"output_tokens\":212},\"text\":\"Take the early train, you hate crowds.\"}",
            ),
        ],
    ),
    (
        "json pretty",
        &[
            (
                116,
                "{\n  \"name\": \"weather-station\",\n  \"version\": \"2.4.1\",\n  \"sensors\": [\n    { \"kind\": \"temperature\", \"unit\": \"celsius\", \"interval_seconds\": 60, \"enabled\": true },\n    { \"kind\": \"humidity\", \"unit\": \"percent\", \"interval_seconds\": 300, \"enabled\": false }\n  ],\n  \"location\": {\n    \"latitude\": 52.5163,\n    \"longitude\": 13.3777\n  },\n  \"owner\": null\n}\n",
            ),
        ],
    ),
    (
        "json text",
        &[
            (
                73,
                "[{\"persona\":\"default\",\"output\":\"I kept the list from Tuesday, and yes, you did forget the batteries again.\",\"mood\":\"amused\",\"mood_cause\":\"you asked twice\"},{\"persona\":\"haven\",\"output\":\"Sleep first. The rest can wait until the morning, it always does.\",\"mood\":\"soft\",\"mood_cause\":null}]",
            ),
        ],
    ),
    (
        "german",
        &[
            (
                74,
                "Gestern habe ich endlich die Wohnung gefunden, von der ich dir erzählt hatte: drei Zimmer, ein kleiner Balkon und eine Küche mit Fenster zum Hof. Die Vermieterin ist freundlich, aber die Kündigungsfrist für die alte Wohnung beträgt leider noch drei Monate. Meinst du, ich sollte trotzdem gleich zusagen, oder erst über die Nebenkosten verhandeln?",
            ),
            (
                62,
                "Die Geschwindigkeitsbegrenzung auf der Landstraße wurde wegen der Bauarbeiten verlängert. Anwohner beschweren sich über den zunehmenden Durchgangsverkehr; die Stadtverwaltung prüft deshalb, ob zusätzliche Ampeln und ein Radweg möglich sind. Eine Entscheidung wird frühestens nach den Sommerferien erwartet.",
            ),
            (
                72,
                "Na du, schon wach? Ich sitze gerade im Zug nach Leipzig, neben mir schläft ein riesiger Hund, und der Kaffee ist erstaunlich gut. Heute Abend treffe ich Jonas wegen der Bewerbung. Drück mir die Daumen, ja? Und erinnere mich bitte morgen früh daran, die Pflanzen zu gießen und das Paket abzuholen.",
            ),
        ],
    ),
    (
        "french",
        &[
            (
                72,
                "Je voulais te raconter ma journée : ce matin, j'ai raté le bus, puis j'ai retrouvé Camille au marché, et nous avons acheté des cerises, du fromage et un énorme bouquet de lavande. L'après-midi, il a plu si fort que nous sommes restées à la bibliothèque jusqu'à la fermeture. C'était très doux, finalement.",
            ),
            (
                52,
                "Le gouvernement a annoncé mercredi plusieurs mesures destinées à réduire la consommation d'énergie des bâtiments publics. Les écoles et les hôpitaux bénéficieront de subventions supplémentaires, tandis que les entreprises devront présenter un plan détaillé avant la fin de l'année prochaine.",
            ),
            (
                63,
                "Tu sais quoi ? J'ai enfin terminé le roman que tu m'avais conseillé. La fin m'a un peu déçue, mais les dialogues sont magnifiques. Dimanche, on pourrait aller voir l'exposition au musée, puis manger une crêpe près du canal, si tu n'as rien de prévu.",
            ),
        ],
    ),
    (
        "spanish",
        &[
            (
                76,
                "Ayer por la tarde fuimos a la playa con los niños. Hacía viento, pero el agua estaba tibia y mi hermana trajo una sandía enorme. Después cenamos en casa de los abuelos, donde siempre hay demasiada comida y nadie se va antes de medianoche. ¿Te acuerdas de la canción que cantaba el tío Julián?",
            ),
        ],
    ),
    (
        "italian",
        &[
            (
                75,
                "Domenica abbiamo festeggiato il compleanno di mio padre in campagna. Ha cucinato tutto lui, perché non si fida di nessuno quando si parla di ragù, e alla fine eravamo così sazi che nessuno voleva più alzarsi da tavola. La prossima volta però organizziamo qualcosa di più semplice.",
            ),
        ],
    ),
    (
        "polish",
        &[
            (
                87,
                "Wczoraj wieczorem dzwoniła moja siostra i powiedziała, że przyjedzie dopiero w piątek, bo musi jeszcze skończyć pracę nad projektem. Szkoda, bo kupiłem już bilety do teatru, ale może uda się je wymienić na niedzielę. W każdym razie cieszę się, że znowu się zobaczymy.",
            ),
        ],
    ),
    (
        "turkish",
        &[
            (
                64,
                "Dün akşam arkadaşlarımla sahilde yürüyüş yaptık, sonra küçük bir lokantada balık yedik. Hava biraz serindi ama manzara çok güzeldi. Yarın annemi ziyaret edeceğim, çünkü uzun zamandır görüşemedik ve ona yeni evimizi anlatmak istiyorum.",
            ),
        ],
    ),
    (
        "russian",
        &[
            (
                80,
                "Вчера вечером мы наконец посмотрели тот фильм, о котором ты говорила. Музыка замечательная, а вот конец показался мне слишком грустным. Завтра поеду к бабушке на дачу: нужно помочь с яблоками и починить старый забор. Напомни мне, пожалуйста, взять тёплую куртку и документы.",
            ),
            (
                50,
                "Правительство объявило о новых мерах поддержки малого бизнеса. Предприниматели смогут получить льготные кредиты и бесплатные консультации, однако эксперты считают, что без упрощения отчётности программа останется малоэффективной.",
            ),
            (
                58,
                "Слушай, а помнишь, как мы заблудились в горах и потом полночи сушили носки у костра? Сегодня нашёл те фотографии и долго смеялся. Надо бы повторить, только теперь с картой и нормальной палаткой.",
            ),
        ],
    ),
    (
        "ukrainian",
        &[
            (
                74,
                "Сьогодні зранку йшов дощ, тому ми залишилися вдома і пекли пиріг з вишнями. Діти малювали, а я нарешті дочитала книжку, яку ти мені подарувала на день народження. Ввечері обов'язково зателефоную мамі.",
            ),
            (
                66,
                "Пам'ятаєш, як минулого літа ми їздили до Карпат? Я щойно знайшла світлини, і мені одразу захотілося повернутися. Може, поїдемо знову у вересні, якщо дадуть відпустку?",
            ),
        ],
    ),
    (
        "greek",
        &[
            (
                78,
                "Χθες το απόγευμα πήγαμε βόλτα στο λιμάνι και φάγαμε παγωτό δίπλα στη θάλασσα. Ο καιρός ήταν υπέροχος, αλλά είχε πολύ κόσμο. Αύριο θα μείνω σπίτι για να τελειώσω τη δουλειά μου και να ξεκουραστώ λίγο.",
            ),
        ],
    ),
    (
        "arabic",
        &[
            (
                68,
                "أمس ذهبت مع أصدقائي إلى السوق القديم واشترينا بعض التوابل والفواكه الطازجة. كان الجو جميلا رغم الزحام، وفي المساء جلسنا في مقهى صغير قرب النهر نتحدث عن السفر والعمل. غدا سأزور والدتي لأنها تشعر ببعض التعب.",
            ),
            (
                47,
                "هل تتذكر الرحلة التي قمنا بها إلى الجبل في الصيف الماضي؟ وجدت الصور اليوم وضحكت كثيرا. أريد أن نكرر التجربة قريبا، لكن هذه المرة مع خيمة أفضل وطعام أكثر.",
            ),
        ],
    ),
    (
        "hebrew",
        &[
            (
                67,
                "אתמול בערב הלכנו לטייל על חוף הים ואחר כך אכלנו במסעדה קטנה ליד הנמל. מזג האוויר היה נעים מאוד. מחר אני צריך לקום מוקדם כדי לעזור לאחותי לעבור דירה, ואחרי זה אולי נלך לסרט.",
            ),
        ],
    ),
    (
        "hindi",
        &[
            (
                63,
                "कल शाम मैं अपने दोस्तों के साथ नदी के किनारे घूमने गया था। मौसम बहुत सुहावना था और हमने चाय के साथ गरम पकौड़े खाए। अगले हफ्ते मेरी बहन की शादी है, इसलिए घर में बहुत काम है और सब लोग तैयारी में लगे हुए हैं।",
            ),
            (
                55,
                "क्या तुम्हें याद है पिछली गर्मियों में हम पहाड़ों पर रास्ता भटक गए थे? आज मुझे वे तस्वीरें मिलीं और मैं देर तक हँसता रहा। हमें फिर से जाना चाहिए, लेकिन इस बार अच्छे तंबू के साथ।",
            ),
        ],
    ),
    (
        "bengali",
        &[
            (
                56,
                "গতকাল বিকেলে আমরা নদীর ধারে হাঁটতে গিয়েছিলাম। আকাশে মেঘ ছিল, কিন্তু বৃষ্টি হয়নি। মা বাড়িতে খিচুড়ি রান্না করেছিলেন, আর আমরা সবাই একসঙ্গে বসে অনেক গল্প করেছি।",
            ),
        ],
    ),
    (
        "tamil",
        &[
            (
                54,
                "நேற்று மாலை நாங்கள் கடற்கரைக்குச் சென்றோம். காற்று குளிர்ச்சியாக இருந்தது, குழந்தைகள் மணலில் விளையாடினார்கள். பிறகு அம்மா சமைத்த தோசையைச் சாப்பிட்டோம்.",
            ),
        ],
    ),
    (
        "thai",
        &[
            (
                66,
                "เมื่อวานนี้ฉันไปเดินเล่นที่ตลาดกับเพื่อน เราซื้อผลไม้และดอกไม้มาเยอะมาก ตอนเย็นฝนตกหนักเลยนั่งดื่มชาอยู่ที่ร้านเล็ก ๆ ใกล้แม่น้ำ พรุ่งนี้ฉันต้องตื่นเช้าเพื่อไปทำงาน",
            ),
        ],
    ),
    (
        "japanese",
        &[
            (
                92,
                "昨日は友達と一緒に古い映画館へ行きました。映画は少し長かったけれど、音楽がとてもきれいで、最後の場面では泣いてしまいました。帰りに小さな喫茶店でコーヒーを飲みながら、来月の旅行の計画を立てました。あなたはどこへ行きたいですか？",
            ),
            (
                61,
                "このアプリケーションは、ユーザーのメッセージをデータベースに保存し、必要なときに検索します。設定ファイルを編集したあと、サーバーを再起動してください。エラーが発生した場合はログを確認してください。",
            ),
            (
                59,
                "ねえ、去年の夏に山で道に迷ったこと、覚えてる？今日その時の写真を見つけて、ずっと笑ってたよ。また行きたいな。今度はちゃんと地図を持って、もっといいテントで。",
            ),
        ],
    ),
    (
        "chinese",
        &[
            (
                70,
                "昨天晚上我和妹妹一起做了饺子，虽然形状不太好看，但是味道很好。吃完饭以后我们去公园散步，看到很多人在跳舞。下个星期我打算去看望外婆，她最近身体不太舒服，一直说想吃我做的红烧肉。",
            ),
            (
                58,
                "该系统采用分布式架构，所有数据在写入之前都会经过校验和加密处理。管理员可以通过网页界面查看运行状态、修改配置并导出日志。如果连接中断，客户端会自动重试，直到服务恢复正常为止。",
            ),
            (
                49,
                "你还记得去年夏天我们在山里迷路的事吗？今天我翻到了那些照片，笑了好久。真想再去一次，不过这次要带上地图和好一点的帐篷。",
            ),
        ],
    ),
    (
        "chinese traditional",
        &[
            (
                54,
                "上個週末我們全家去爬山，天氣很好，山頂的風景非常漂亮。下山之後在老街吃了豆花和牛肉麵，媽媽還買了一些茶葉送給鄰居。",
            ),
            (
                53,
                "你還記得去年夏天我們在山裡迷路的事嗎？今天我翻到了那些照片，笑了很久。真想再去一次，不過這次要帶上地圖和好一點的帳篷。",
            ),
        ],
    ),
    (
        "korean",
        &[
            (
                78,
                "어제 저녁에 친구들이랑 강가를 걸으면서 이런저런 이야기를 했어요. 날씨가 조금 쌀쌀했지만 따뜻한 커피를 마시니까 기분이 좋아졌어요. 다음 주에는 부모님을 뵈러 고향에 내려갈 예정이라서 기차표를 미리 예매해야 해요.",
            ),
            (
                53,
                "작년 여름에 산에서 길을 잃었던 거 기억나? 오늘 그때 사진을 찾아서 한참 웃었어. 다시 가고 싶다. 이번에는 지도도 챙기고 더 좋은 텐트도 가져가자.",
            ),
        ],
    ),
    (
        "vietnamese",
        &[
            (
                54,
                "Hôm qua tôi cùng bạn bè đi dạo quanh hồ và ăn kem. Trời hơi lạnh nhưng rất đẹp, chúng tôi chụp nhiều ảnh và nói chuyện đến tối. Ngày mai tôi phải dậy sớm để về quê thăm bà ngoại.",
            ),
        ],
    ),
    (
        "emoji",
        &[
            (
                34,
                "😀😂🥰😎🤔😴🙃😭🎉✨🔥💀👀🙏🌊🌲🍕🍺🚲🎸",
            ),
        ],
    ),
    (
        "emoji chat",
        &[
            (
                42,
                "good morning ☀\u{fe0f} slept terribly 😴😴 but the coffee is GOOD ☕🔥 and look who came to say hi 🐈\u{200d}⬛❤\u{fe0f} miss you!! 👋🏽🥰",
            ),
        ],
    ),
    (
        "urls",
        &[
            (
                93,
                "https://example.org/wiki/Special:Search?search=vector+index&fulltext=1&ns0=1\nhttps://cdn.example.net/assets/v3/img/8f3a9c1e/header@2x.png\ngit@example.com:acme/tools.git\nhttp://127.0.0.1:8080/api/sessions/0198c2f4/messages?limit=50&before=1204#top",
            ),
            (
                42,
                "see https://docs.example.com/en/latest/getting-started/installation.html and https://news.example.com/2026/03/14/local-library-reopens-after-renovation?utm_source=newsletter",
            ),
        ],
    ),
    (
        "hex and base64",
        &[
            (
                124,
                "sha256 1f0c8e2b9d47a6530b1c9e8f72d4a35b6c0e9f1827d3b4a59687c0d1e2f3a4b5\ntoken dGhpcyBpcyBub3QgYSBzZWNyZXQgYXQgYWxsLCBqdXN0IHdvcmRz\nid 0198c2f4-7a31-7c60-9f2e-3b8d5e6a1c44",
            ),
            (
                89,
                "9e107d9d372bb6826bd81d3542a419d6 e4d909c290d0fb1ca068ffaddf22cbd0 QmFzZTY0IGxvb2tzIGxpa2UgdGhpcyBpbiBhIGxldHRlci4= 550e8400-e29b-41d4-a716-446655440000",
            ),
        ],
    ),
    (
        "numbers",
        &[
            (
                68,
                "3.14159 2.71828 1,234,567 -42 0.001 100% 12:45 2026-11-21 +49 30 1234567 $1,299.99 7/8 1e-9 192.168.0.1 42",
            ),
            (
                62,
                "1204 88213 7 19 4503599627370496 65536 1000000 31 12 1999 00:00:01.250 17.5 km 3 x 4 = 12, 1/3 of 90 is 30",
            ),
        ],
    ),
    (
        "whitespace",
        &[
            (
                21,
                "a    b        c                d\n\n\n\n\te\t\tf\n        g\n                h   \n   \n   i",
            ),
        ],
    ),
    (
        "punctuation",
        &[
            (
                44,
                "Wait... what?! -- \"No,\" she said; (really?) [yes] {ok} <hm> *** --- === ### @@ !!! ??? ... ,;: |||| ~~~~ && || -> => != <=",
            ),
        ],
    ),
    (
        "shouting",
        &[
            (
                41,
                "STOP RIGHT THERE! DO NOT OPEN THE DOOR UNTIL THE RED LIGHT IS OFF. WARNING: HIGH VOLTAGE. AUTHORISED PERSONNEL ONLY. PLEASE KEEP THE EMERGENCY EXIT CLEAR.",
            ),
        ],
    ),
    (
        "rare letters",
        &[
            (
                98,
                "ꦲꦏ꧀ꦱꦫ ᚠᚢᚦᚨᚱᚲ 𐍅𐌿𐌻𐍆𐌹𐌻𐌰 ሰላም ለሁሉም ᠮᠣᠩᠭᠣᠯ",
            ),
        ],
    ),
    (
        "mixed",
        &[
            (
                59,
                "She wrote \"Привет, как дела?\" on the whiteboard, next to 東京 2026 and a tiny drawing of a 🐙; underneath: `let x = foo(bar)?;` and a note: naïve café façade, 20 °C, ½ cup.",
            ),
        ],
    ),
    (
        "go",
        &[
            (
                108,
                "func (s *Server) handleUpload(w http.ResponseWriter, r *http.Request) {\n\tfile, header, err := r.FormFile(\"document\")\n\tif err != nil {\n\t\thttp.Error(w, \"missing file\", http.StatusBadRequest)\n\t\treturn\n\t}\n\tdefer file.Close()\n\tif header.Size > s.maxBytes {\n\t\thttp.Error(w, \"too large\", http.StatusRequestEntityTooLarge)\n\t\treturn\n\t}\n\ts.log.Info(\"upload\", \"name\", header.Filename, \"size\", header.Size)\n}\n",
            ),
        ],
    ),
    (
        "georgian",
        &[
            (
                37,
                "გუშინ საღამოს მეგობრებთან ერთად მდინარის პირას ვსეირნობდით და ბევრი ვიცინეთ. ხვალ დედას უნდა ვესტუმრო.",
            ),
        ],
    ),
    (
        "armenian",
        &[
            (
                35,
                "Երեկ երեկոյան ընկերներիս հետ քայլեցինք գետի ափով և երկար զրուցեցինք։ Վաղը պիտի այցելեմ մորս։",
            ),
        ],
    ),
];
