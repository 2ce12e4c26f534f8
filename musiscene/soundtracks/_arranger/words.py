"""The words that the arranger understands, as data."""

from __future__ import annotations

Feeling = tuple[float, float, float]
"""Valence (-1 to 1), arousal (0 to 1), tension (0 to 1)."""


def _feelings(*groups: tuple[str, float, float, float]) -> dict[str, Feeling]:
    return {
        word: (valence, arousal, tension)
        for words, valence, arousal, tension in groups
        for word in (part.strip() for part in words.split(","))
    }


MOODS: dict[str, Feeling] = _feelings(
    ("happy, cheerful, joyful, joyous, merry, jolly, delightful, gleeful, happiness, joy, jovial", 0.85, 0.65, 0.05),
    ("upbeat, lively, vibrant, bouncy, peppy, perky, catchy, fun, feel-good, entertaining, enjoyable", 0.75, 0.72, 0.1),
    (
        "uplifting, inspiring, inspirational, hopeful, optimistic, motivational, encouraging, triumphant, victorious, positive, "
        "rousing, soaring, hope",
        0.75,
        0.62,
        0.15,
    ),
    (
        "energetic, energy, high-energy, dynamic, exciting, excited, excitement, exhilarating, thrilling, electrifying, "
        "adrenaline, driving, punchy, addictive",
        0.45,
        0.88,
        0.3,
    ),
    ("euphoric, ecstatic, celebratory, celebration, festive, party, danceable, jubilant", 0.9, 0.88, 0.1),
    (
        "playful, whimsical, quirky, mischievous, cute, childlike, silly, funny, comedic, comedy, humorous, lighthearted, "
        "light-hearted, goofy, children's, cartoon, cartoons",
        0.7,
        0.55,
        0.1,
    ),
    ("groovy, funky, sassy, swaggering, cool, confident, danceable", 0.5, 0.65, 0.15),
    (
        "calm, calming, peaceful, tranquil, serene, soothing, relaxing, relaxed, restful, placid, tranquility, calmness, "
        "relaxation, still, stillness, unhurried, easygoing, easy-going, soft, gentle, tender, delicate, quiet, hushed",
        0.35,
        0.14,
        0.04,
    ),
    ("meditative, meditation, yoga, contemplative, zen, sleep, sleepy, lullaby, spa", 0.25, 0.07, 0.03),
    ("mellow, chill, chilled, laid-back, laidback, smooth, lazy, cozy, cosy, easy, pleasant", 0.35, 0.26, 0.06),
    (
        "dreamy, dreamlike, ethereal, floating, airy, hazy, otherworldly, celestial, weightless, atmospheric, spacey",
        0.25,
        0.2,
        0.12,
    ),
    ("warm, heartfelt, loving, intimate, affectionate, sweet, homely, charming", 0.55, 0.3, 0.05),
    ("romantic, romance, love, sensual, sexy, passionate, seductive", 0.45, 0.38, 0.15),
    ("nostalgic, nostalgia, wistful, bittersweet, reminiscent, sentimental, longing, yearning", -0.1, 0.25, 0.15),
    (
        "sad, sorrowful, mournful, melancholic, melancholy, gloomy, grieving, grief, heartbroken, heartbreak, tragic, sombre, "
        "somber, lonely, lonesome, desolate, despair, tearful, sadness, loss, blue, bleak, forlorn, elegiac, funeral, mourning",
        -0.75,
        0.2,
        0.25,
    ),
    (
        "reflective, introspective, pensive, thoughtful, introspection, contemplation, solitary, solitude",
        -0.05,
        0.2,
        0.12,
    ),
    ("emotional, moving, poignant, touching, dramatic, soulful", -0.1, 0.42, 0.3),
    (
        "dark, brooding, moody, shadowy, noir, ominous, sinister, menacing, foreboding, grim, haunting, evil",
        -0.65,
        0.4,
        0.7,
    ),
    (
        "scary, frightening, creepy, eerie, spooky, terrifying, horror, horrific, nightmare, nightmarish, disturbing, unsettling, "
        "chilling, ghostly, fear, dread, terror, uneasy, unease, haunted, sinister",
        -0.8,
        0.45,
        0.95,
    ),
    (
        "tense, tension, suspenseful, suspense, anxious, nervous, uneasy, mysterious, mystery, intrigue, secretive, "
        "enigmatic, thriller, danger, dangerous, urgency, urgent",
        -0.35,
        0.52,
        0.8,
    ),
    ("angry, aggressive, furious, rage, brutal, violent, fierce, ferocious, raging, harsh, hostile", -0.6, 0.95, 0.75),
    (
        "intense, powerful, heavy, pounding, relentless, hard-hitting, massive, thunderous, explosive, loud, forceful",
        -0.1,
        0.9,
        0.5,
    ),
    ("epic, heroic, majestic, grand, monumental, glorious, legendary, noble, sweeping, grandiose", 0.4, 0.82, 0.4),
    ("chaotic, frantic, frenetic, hectic, frenzied, wild, restless, agitated, manic, panicked", -0.1, 0.95, 0.65),
    ("solemn, sacred, reverent, spiritual, holy, dignified, ceremonial, stately, pompous", 0.1, 0.3, 0.15),
    ("bright, sunny, sparkling, shining, radiant, colourful, colorful, fresh, crisp", 0.65, 0.55, 0.05),
    ("cold, icy, barren, empty, sparse, minimal, minimalist", -0.2, 0.18, 0.25),
    ("adventurous, adventure, bold, daring", 0.5, 0.75, 0.3),
    ("magical, enchanting, wondrous, fantastical, fairytale, wonder, magic", 0.5, 0.4, 0.12),
    ("groove, rhythmic, pulsing, pulsating", 0.3, 0.6, 0.2),
    ("weird, strange, bizarre, eccentric, experimental", -0.1, 0.45, 0.45),
    ("burning, storm, stormy, battle, war, fight, chase", -0.35, 0.9, 0.75),
    ("rain, rainy, autumn, fog, foggy, winter", -0.25, 0.25, 0.2),
    ("sunset, sunrise, dawn, meadow, garden, ocean, sea, forest, river, mountains, landscape, nature", 0.3, 0.28, 0.08),
    ("lethargic, tired, weary, drowsy", -0.15, 0.1, 0.08),
    ("static, motionless", 0.0, 0.15, 0.15),
)
"""What moods (and a few sights) feel like."""

STYLE_WORDS: dict[str, str] = {
    "orchestral": "orchestral, orchestra, symphonic, symphony, film score, movie score, classical, concerto, cinematic:2, "
    "philharmonic, overture, neoclassical, neo-classical, chamber music, string quartet, fantasy:1, opera, adventure film:2, "
    "documentary:0.6, documentaries:0.5, cartoon:0.7, cartoons:0.7, fairytale:1.5, fairy tale:1.5",
    "piano_ballad": "piano ballad:5, ballad:2.5, torch song, solo piano:3.5, piano solo:3.5, nocturne, sentimental piano, "
    "emotional piano, love song:2, slow piano:2, lullaby:2, christian:0.6",
    "electronic_dance": "edm, electronic dance, electronic dance music:5, dance music, house music, deep house, techno, trance, club, "
    "rave, drum and bass, dnb, dubstep, eurodance, electro, dance-pop, electro house, big room, nightclub:2, hardstyle, "
    "electronic:2, electronica:2.5, disco house, dancefloor:2, dance floor:2, dance club, jungle beat, idm, breakbeat, "
    "industrial:1.5, electronic beats:3, fitness:0.8, workout:1.5, clubbing:2, four on the floor:3, party:0.8",
    "synthwave": "synthwave, retrowave, outrun, vaporwave, synth-pop, synthpop, synth pop, darksynth, cyberpunk:2.5, 80s synth, "
    "80's synth, retro synth, retro-futuristic, neon:1.5, new wave, arcade:1.5, futuristic:1, sci-fi:1, chiptune:2, 8-bit:2, "
    "video game:1.2, kraftwerk",
    "lofi": "lofi, lo-fi, lo fi, chillhop, study beats, chill beats, chill-hop, beats to study, downtempo, trip-hop, trip hop, "
    "chillout:1.5, coffee shop:1, cafe:0.7",
    "hiphop": "hip hop, hip-hop, hiphop, rap, trap, boom bap, drill beat, old school beat, gangsta, trap beat, rapper",
    "pop": "pop, pop song, dance pop, indie pop, k-pop, j-pop, teen pop, radio hit, bubblegum, commercial:0.7, commercials:0.7, "
    "advertisement:0.7, advertisements:0.7, advertising:0.7, promotional:0.6, corporate:1.2, vlog:1, summer hit, catchy tune, "
    "catchy melody:0.4, jingle:1.5, ukulele:1, product:0.4, tutorial:0.5",
    "rock": "rock, rock and roll, rock'n'roll, rock n roll, hard rock, punk, punk rock, grunge, indie rock, alternative rock, "
    "alternative, garage rock, classic rock, arena rock, power ballad:2, surf rock, shoegaze, post-rock, progressive rock, "
    "guitar riff:1.5, guitar riffs:1.5, riffs:0.8, riff:0.8, sports:0.5, skate:1, biker:1.5, distorted guitar:1.5, "
    "rockabilly",
    "metal": "metal, heavy metal:5, metalcore, thrash, death metal:5, black metal:5, djent, nu metal, headbanging, hardcore:1.5, doom metal",
    "folk": "folk, acoustic folk, singer-songwriter, singer songwriter, indie folk, celtic, irish, scottish, jig:3, reel:2, "
    "sea shanty, shanty, campfire:1.5, medieval:2.5, renaissance:2, acoustic:1.2, pastoral:1.5, troubadour, bard:2, tavern:2, "
    "polka:2, klezmer:2, traditional:0.6, acoustic guitar:1, mandolin:1, countryside:1, village:1, christmas:0.8, carol:1.5",
    "bluegrass": "bluegrass, hoedown, country, country music, banjo:2, fiddle tune, appalachian, americana, honky-tonk, western swing, "
    "cowboy:1.5, country and western, rodeo:2, barn dance:3, western:1.2, ragtime:1.5",
    "jazz": "jazz, bebop, swing:2, big band, dixieland, cool jazz, jazz trio, smooth jazz, jazzy:3, speakeasy:2, gypsy jazz, "
    "hard bop, new orleans, noir:1, film noir:2, detective:1, walking bass:2, brushed drums:1.5, upright bass:1, "
    "cabaret:2, charleston, lounge:2, cocktail:1.5, fusion jazz, jazz fusion, blues and jazz",
    "bossa_nova": "bossa nova, bossa, brazilian jazz, bossanova, ipanema, brazilian:2, rio:1, beach cafe:1.5, elevator music:2",
    "latin": "latin, salsa, samba, mambo, rumba, cha cha, cha-cha, merengue, reggaeton, cumbia, tango, flamenco:2, mariachi, mexican, "
    "cuban, havana:2, fiesta, bachata, calypso, spanish:1, carnival:1.5, caribbean:1.2, tropical:1, matador:1.5, afro-cuban",
    "reggae": "reggae, ska, dub, dancehall, jamaica, jamaican, rastafarian, roots reggae, island vibe:2, rocksteady, ska punk",
    "funk": "funk, funky:2.5, disco, slap bass:2, wah-wah:1.5, wah wah:1.5, boogie, nu-disco, motown:1.5, blaxploitation, groovy:1, "
    "70s groove:2, heist:1.2, soul train, funk rock",
    "soul": "soul, r&b, rnb, rhythm and blues, neo-soul, neo soul, gospel, soulful:1.5, quiet storm, slow jam, slow jams",
    "blues": "blues, bluesy:3, delta blues, chicago blues, blues rock:4, blues-rock:4, juke joint, twelve-bar, 12-bar, slide guitar:2",
    "ambient": "ambient, drone music, soundscape, atmospheric:1.3, meditation:2.2, meditative:2, yoga:2.2, new age, new-age, spa:2, "
    "space music, relaxation:1.5, sleep:1.8, underwater:1.2, ethereal:1.5, floating:1, deep space:2, outer space:1.5, "
    "mindfulness:2, healing:1.5, dreamscape:2, stars:0.5, galaxy:1, tranquil:0.6, serene:0.5, starry:0.8, texture:0.5, pads:0.8, "
    "ambience",
    "horror": "horror, scary:2, creepy:2, haunted:2.5, spooky:2, nightmare:2, nightmares:2, zombie:2, ghost:1.5, ghosts:1.5, slasher, eerie:2, "
    "terrifying:2.5, thriller:1.2, thrillers:1.2, suspense:1.2, suspenseful:1.2, psychological thriller:2, monster:1.2, demonic:2.5, asylum:2, "
    "abandoned:1, halloween:2, dread:1.5, sinister:1.5, vampire:2, unsettling:1.8, ominous:1.2, murder:1.5, occult:2",
    "march": "march, marching, marching band:5, military:2.5, parade:2.5, brass band, fanfare:1.5, anthem:1.2, national anthem:3, "
    "soldiers:1.5, soldier:1, regiment:2, circus:2, drum corps",
    "baroque": "baroque, bach, vivaldi, handel, harpsichord:2.5, fugue, minuet:2.5, courtly:2, gavotte, sarabande, concerto grosso:4, "
    "18th century:2, 18th-century:2, eighteenth century:2, rococo, powdered wigs, versailles:2, invention:1",
    "trailer": "trailer, trailer music:4, epic:2, blockbuster, action movie:2, action film:2, superhero:2, cinematic percussion, "
    "war drums:2, battle:1.8, epic battle:3, taiko:2, hybrid score, action:1, action-packed:1.4, apocalypse:1.5, gladiator:2, "
    "dragon:1.5, dragons:1.5, chase:1.2, explosion:1.2, explosions:1.2, warriors:1.5, warrior:1.2, conquest:1.5, siege:1.5, braam, braams",
    "waltz": "waltz, viennese, ballroom:2, waltzing, merry-go-round:1.5, carousel:2, musette, ländler, landler, three-quarter time:2",
    "world": "world music, ethnic, african, afrobeat, indian, raga, bollywood, arabic, arabian, middle eastern, middle-eastern, asian, "
    "japanese, chinese, oriental, tribal, polynesian, hawaiian:2, balinese, gamelan, turkish, persian, egyptian, andean, "
    "aboriginal, desert caravan:2, safari:2, sitar:2, koto:2, kalimba:2, tabla:2, djembe:2, shakuhachi:2, samurai:2, "
    "bamboo:1, temple:1, didgeridoo:2, mongolian, tibetan, korean, vietnamese, bazaar:2, sahara:1.5, ancient egypt:2",
}
"""Words that ask for a style, with their weight after a colon (3 unless told)."""

TEMPO_WORDS: dict[str, tuple[float, float]] = {
    "larghissimo": (30, 40),
    "grave": (36, 46),
    "largo": (44, 58),
    "lento": (48, 62),
    "larghetto": (58, 68),
    "adagio": (60, 74),
    "adagietto": (68, 80),
    "andante": (76, 98),
    "andantino": (80, 102),
    "moderato": (104, 120),
    "allegretto": (110, 124),
    "allegro": (122, 150),
    "vivace": (150, 174),
    "presto": (168, 198),
    "prestissimo": (196, 220),
    "extremely slow": (44, 56),
    "very slow": (48, 62),
    "really slow": (48, 62),
    "slow to moderate": (72, 92),
    "painfully slow": (42, 54),
    "slow": (58, 80),
    "slowly": (58, 80),
    "slow-paced": (60, 80),
    "slow paced": (60, 80),
    "leisurely": (70, 90),
    "unhurried": (66, 86),
    "strolling": (84, 104),
    "walking pace": (84, 104),
    "relaxed tempo": (72, 94),
    "sluggish": (50, 66),
    "moderate tempo": (96, 114),
    "medium tempo": (96, 114),
    "mid-tempo": (96, 114),
    "midtempo": (96, 114),
    "mid tempo": (96, 114),
    "moderately paced": (96, 114),
    "moderate": (96, 114),
    "moderate pace": (96, 114),
    "medium-paced": (96, 114),
    "steady pace": (92, 112),
    "brisk": (126, 146),
    "upbeat tempo": (120, 136),
    "fast": (132, 156),
    "fast-paced": (134, 158),
    "fast paced": (134, 158),
    "quick": (130, 152),
    "quickly": (130, 152),
    "rapid": (140, 164),
    "speedy": (140, 164),
    "very fast": (158, 184),
    "extremely fast": (170, 196),
    "breakneck": (170, 196),
    "frantic": (150, 178),
    "frenetic": (150, 178),
    "racing": (140, 166),
    "breathless": (148, 170),
    "up-tempo": (126, 146),
    "uptempo": (126, 146),
    "high tempo": (134, 156),
    "rushing": (138, 160),
    "fast cuts": (126, 150),
    "quick cuts": (126, 150),
    "hurried": (134, 156),
    "galloping": (134, 156),
    "glacial": (42, 54),
}
"""Slowest and fastest tempo that a word means, in beats per minute."""

INTENSIFIERS = frozenset(
    {"very", "extremely", "really", "incredibly", "so", "super", "deeply", "intensely", "truly", "utterly"}
)
SOFTENERS = frozenset(
    {"slightly", "somewhat", "mildly", "bit", "little", "faintly", "vaguely", "almost", "lightly", "subtly"}
)

REGION_WORDS: dict[str, str] = {
    "japanese": "japanese, japan, samurai, koto, shakuhachi, tokyo, kyoto, geisha, zen garden, shamisen, ninja",
    "chinese": "chinese, china, guzheng, erhu, beijing, dynasty, kung fu, dizi, pipa",
    "indian": "indian, india, sitar, bollywood, raga, tabla, mumbai, delhi, hindustani, carnatic",
    "middle eastern": "arabic, arabian, middle eastern, middle-eastern, persian, turkish, oud, egyptian, bazaar, caravan, sahara, ottoman, "
    "desert caravan, moroccan",
    "african": "african, africa, kalimba, mbira, safari, djembe, savanna, savannah, serengeti, afrobeat",
    "celtic": "celtic, irish, ireland, scottish, scotland, highlands, gaelic, tin whistle, bagpipe, bagpipes",
    "spanish": "spanish guitar, flamenco, spain, andalusian, matador",
    "andean": "andean, peru, peruvian, bolivian, inca, pan flute",
    "caribbean": "caribbean, steel drum, steelpan, calypso, trinidad, steel drums, steel pan",
    "russian": "russian, balalaika, slavic, cossack, siberian, gypsy",
    "french": "parisian, paris, french cafe, musette, french café",
    "hawaiian": "hawaiian, hawaii, ukulele, luau, polynesian",
}
"""Words of a musical tradition."""

ERA_WORDS: dict[str, tuple[str, dict[str, float]]] = {
    "medieval": ("medieval, middle ages, knights, castle, minstrel", {"folk": 1.5, "orchestral": 0.8}),
    "18th century": ("18th century, 18th-century, baroque era, 1700s", {"baroque": 2.0}),
    "19th century": ("19th century, 19th-century, victorian, 1800s, romantic era", {"waltz": 1.0, "orchestral": 1.2}),
    "1920s": ("1920s, roaring twenties, prohibition, flapper", {"jazz": 2.5}),
    "1930s": ("1930s, 30s, thirties", {"jazz": 2.0}),
    "1940s": ("1940s, 40s, forties", {"jazz": 2.0}),
    "1950s": ("1950s, 50s, fifties, doo-wop", {"rock": 1.2, "jazz": 1.0, "blues": 0.8}),
    "1960s": ("1960s, 60s, sixties, swinging sixties", {"rock": 1.2, "soul": 1.2, "bossa_nova": 0.6}),
    "1970s": ("1970s, 70s, seventies, 70's", {"funk": 2.0, "rock": 0.8}),
    "1980s": ("1980s, 80s, eighties, 80's", {"synthwave": 2.4, "pop": 0.6}),
    "1990s": ("1990s, 90s, nineties, 90's", {"hiphop": 0.8, "electronic_dance": 1.0, "rock": 0.8}),
    "2000s": ("2000s, noughties, y2k", {"pop": 1.2}),
    "future": (
        "futuristic, sci-fi, science fiction, cyberpunk, spaceship, robots, android",
        {"synthwave": 1.2, "ambient": 0.5},
    ),
}
"""Words of a time and the styles they suggest."""

SIGHTS = frozenset(
    """burning storm stormy battle war fight chase rain rainy autumn fog foggy winter sunset sunrise dawn meadow garden ocean
    sea forest river mountains landscape funeral mourning party celebration romance meditation yoga sleep cartoon
    celebratory festive haunted magic magical""".split()
)
"""Mood words that also name something to see, and so may lead to a scene."""

COMMON = frozenset(
    """about above across action after again along among apart around beach beast because before began begin being below
    board boats bones brain brand bread break bring brown brush built catch cause chain chair chart cheap check chest
    child class clean clear climb clock close cloth cloud coach coast could count court cover cream crowd dance danced
    dances dancer death dream dreams dress drink drive drove drugs drunk early earth eight empty enter every faces faith
    false fares feels field fight final first flair flame floor flow flows forth found frame front fruit gates glass
    goose grain grape grass grave great green group guess guest hands heart hello hired horse horses hotel hours house
    human image items jeans judge juice knife known label lakes large later laugh learn least leave level light limit
    lines lived lives local lords lower lucky lunch major makes manor maple march match mayor means media metal might
    miner mirror model money month moral motor mount mouth moves movie music musical nails never night noise north
    novel nurse ocean offer often orange order other ought paint panel paper party pause peace phone photo piece pilot
    place plain plane plant plate point polar pound power press price pride prime print prize proof proud quite queen
    quote radio raise range rapid reach ready right river roads rocks rocky rough round route royal rural sails salad
    scene scenes score sense serve seven shade shake shall shame shape share sharp sheep sheet shelf shell shift shine
    ships shirt shock shoes shoot shops shore short shots shown shows sight since sixth skill sleep slide small smell
    smile smoke snake solid solve sorry sound south space spare speak speed spell spend spent spill spite split spoke
    spoon sport spots spray spring springs stage stairs stake stand starch stare stars start state steam steel steep
    steps stick still sting stings stock stone stood store storm story stove straw street strike style sugar suite
    sunny sweet swept swims table taken takes taste taxes teach teeth thank their theme there these thick thing think
    third those three threw throw tight times tired title toast today tools topic total touch tough tower track trade
    trail train travel treat trees trend trial tribe trick tried tries truck truly trust truth twice under union until
    upper urban usage usual valid value video videos views visit vital voice vowel wages wagon waist watch water waves
    wheel where which while white whole whose woman women world worry would wound write wrong wrote years yield young
    drama glare blaze blade bland blank blend blind block blood bloom blows bluff groan grown grows grove guard guide
    bases based basic basis basin bring flute fluted mango tangle harpy happen sample simple people couple middle
    morning evening nothing something anything meeting seating talking walking working looking standing sitting
    mayor medal petal county counts marsh heroin violet relating relying terror horrors minors majors drummed instrument
    instruments instructional energies metals classics orchard electricity meditation mediation romance drumming gloom
    atmosphere atmospheres nostalgia harmonies harmonic settings setting string stringed funny shooting eclectic trainer
    according harmonize ambience ambiance percussive percussionist strummed hammer flutter flatter guilt pious patio
    minute minutes hundred hundreds thousand holding showing playing running eating drinking cooking driving riding singing speaking beating breathing clapping
    person persons machine kitchen picture pictures computer camera window building buildings different another
    """.split()
)
"""Everyday words that lie one slip away from a word of music and are meant as they stand."""
