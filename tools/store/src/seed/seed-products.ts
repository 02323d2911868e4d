import { createHash } from 'node:crypto';

export interface SeedProduct {
  sku: string;
  category: string;
  price: number;
  stock: number;
  korean: { name: string; description: string };
  english: { name: string; description: string };
}

// One line per product: price | 이름 | name | 설명 | description
const table: Record<string, string> = {
  textiles: `
48000 | 모시 조각보 | Ramie Patchwork Cloth | 한산 모시 자투리를 쌈솔로 이어 앞뒤가 같은 조각보입니다. | Scraps of Hansan ramie joined with flat seams, so that both sides are the right side.
36000 | 삼베 발 | Hemp Window Blind | 여름 볕을 부드럽게 거르는 성글게 짠 삼베 발입니다. | A loosely woven hemp blind that softens the summer sun.
29000 | 쪽물 무명 보자기 | Indigo Cotton Bojagi | 쪽물을 세 번 들인 무명 보자기로 쓸수록 색이 깊어집니다. | A cotton wrapping cloth dipped three times in indigo, deeper with every use.
18000 | 명주 목수건 | Silk Neckerchief | 가볍게 두르기 좋은 손짠 명주 목수건입니다. | A hand-woven silk neckerchief, light enough for spring.
95000 | 누비 이불 | Quilted Blanket | 손누비 간격을 일 센티미터로 맞춘 사계절 이불입니다. | An all-season blanket with hand quilting one centimetre apart.
24000 | 홍화 염색 손수건 | Safflower Handkerchief | 홍화 꽃잎으로 물들인 연분홍 손수건입니다. | A pale pink handkerchief dyed with safflower petals.
42000 | 색동 방석 | Rainbow-Stripe Cushion | 오방색 색동을 이어 붙인 도톰한 방석입니다. | A thick floor cushion pieced from stripes of the five colours.
15000 | 무명 행주 세트 | Cotton Kitchen Cloth Set | 삶아 써도 늘어나지 않는 무명 행주 석 장입니다. | Three cotton kitchen cloths that keep their shape when boiled.
52000 | 매듭 노리개 | Knotted Norigae Pendant | 국화매듭과 딸기술로 마무리한 비단실 노리개입니다. | A silk-cord pendant ending in a chrysanthemum knot and tassel.
33000 | 자수 바늘꽂이 | Embroidered Pincushion | 모란 자수를 놓고 머리카락 대신 솜을 채운 바늘꽂이입니다. | A pincushion embroidered with peonies and filled with cotton.
68000 | 옥사 커튼 | Oksa Silk Curtain | 빛이 비치는 옥사를 조각보처럼 이은 커튼입니다. | A curtain of translucent silk pieced like a wrapping cloth.
21000 | 감물 앞치마 | Persimmon-Dyed Apron | 제주 감물을 들여 때가 덜 타는 앞치마입니다. | An apron dyed with Jeju persimmon juice, which resists stains.
27000 | 여의주문 상보 | Yeouiju Table Cover | 여의주 무늬로 접어 박은 작은 상보입니다. | A small table cover folded and stitched in the wish-pearl pattern.
58000 | 양모 펠트 러그 | Wool Felt Rug | 손으로 비벼 만든 산 모양 무늬의 양모 러그입니다. | A hand-rubbed wool rug with a pattern of mountain ridges.
13000 | 골무 다섯 점 | Five Thimbles | 자투리 비단을 배접해 만든 골무 다섯 점입니다. | Five thimbles of layered silk scraps, one for each colour.
39000 | 소창 목욕 수건 | Sochang Bath Towel | 강화 소창 두 겹으로 빨리 마르는 목욕 수건입니다. | A quick-drying bath towel of double Ganghwa cotton gauze.
46000 | 누비 토트백 | Quilted Tote Bag | 오목누비로 결을 살린 가벼운 손가방입니다. | A light tote bag with deep corded quilting.`,
  ceramics: `
32000 | 백자 밥그릇 | White Porcelain Rice Bowl | 굽을 높여 손에 착 감기는 백자 밥그릇입니다. | A rice bowl on a raised foot that sits well in the hand.
34000 | 백자 국그릇 | White Porcelain Soup Bowl | 밥그릇과 짝을 이루는 넉넉한 국그릇입니다. | A generous soup bowl made to match the rice bowl.
180000 | 달항아리 소 | Small Moon Jar | 두 반구를 이어 붙인 자국이 은은한 작은 달항아리입니다. | A small moon jar that quietly shows the seam of its two halves.
56000 | 청자 상감 찻잔 | Inlaid Celadon Teacup | 구름과 학을 상감한 비색 찻잔입니다. | A celadon teacup inlaid with clouds and cranes.
41000 | 분청 접시 | Buncheong Plate | 귀얄 붓 자국이 시원하게 남은 분청 접시입니다. | A plate of slip-brushed stoneware with bold strokes.
27000 | 옹기 수저통 | Onggi Utensil Holder | 물기가 고이지 않게 바닥을 뚫은 옹기 수저통입니다. | A breathing earthenware holder with holes so that no water stays.
88000 | 옹기 김칫독 | Onggi Kimchi Jar | 네 포기가 들어가는 숨 쉬는 김칫독입니다. | A breathing kimchi jar that takes four heads of cabbage.
23000 | 청화 종지 | Blue-and-White Sauce Dish | 물고기 한 마리를 그려 넣은 청화 종지입니다. | A sauce dish with one fish painted in cobalt.
64000 | 백자 주병 | Porcelain Bottle | 목이 길고 어깨가 둥근 술병입니다. | A bottle with a long neck and round shoulders.
38000 | 흑유 머그 | Black-Glazed Mug | 깊은 흑유에 갈색 결이 흐르는 머그입니다. | A mug of deep black glaze with streaks of brown.
29000 | 연잎 찬기 | Lotus-Leaf Side Dish | 연잎처럼 가장자리를 말아 올린 찬기입니다. | A side dish with its rim curled like a lotus leaf.
72000 | 분청 조화문 병 | Incised Buncheong Vase | 모란을 선으로 새긴 납작한 꽃병입니다. | A flattened vase with peonies drawn in incised line.
19000 | 도자 수저받침 넷 | Four Spoon Rests | 조약돌을 닮은 수저받침 네 점입니다. | Four spoon rests shaped like river pebbles.
47000 | 뚝배기 대 | Large Earthen Pot | 불 위에 바로 올리는 두꺼운 뚝배기입니다. | A thick earthen pot that goes straight onto the flame.
53000 | 백자 향꽂이 | Porcelain Incense Holder | 산봉우리 사이로 연기가 오르는 향꽂이입니다. | An incense holder whose smoke rises between two peaks.
36000 | 재유 파스타 접시 | Ash-Glazed Pasta Plate | 소나무 재를 입힌 오목한 접시입니다. | A deep plate glazed with pine ash.
25000 | 도자 화분 | Ceramic Plant Pot | 초벌의 흙빛을 살린 작은 화분입니다. | A small pot that keeps the colour of its unglazed clay.`,
  paper: `
16000 | 외발지 한지 열 장 | Ten Sheets of Hanji | 닥나무 외발뜨기로 결이 엇갈린 한지 열 장입니다. | Ten mulberry sheets with crossed fibres, formed on a single-pole mould.
45000 | 한지 사각등 | Square Hanji Lantern | 소나무 틀에 한지를 발라 은은한 등입니다. | A lantern of mulberry paper on a pine frame.
28000 | 지승 바구니 | Twisted Paper Basket | 한지를 꼬아 엮고 옻칠한 작은 바구니입니다. | A small basket of twisted paper cord, sealed with lacquer.
12000 | 색한지 꾸러미 | Coloured Hanji Bundle | 치자와 쪽, 소목으로 물들인 색한지 서른 장입니다. | Thirty sheets dyed with gardenia, indigo and sappan wood.
39000 | 합죽선 | Bamboo Folding Fan | 겉대를 맞붙인 살 마흔 개의 부채입니다. | A folding fan with forty ribs of doubled bamboo skin.
22000 | 태극선 | Taegeuk Hand Fan | 삼색 태극을 비단으로 붙인 둥근 부채입니다. | A round fan with a three-colour swirl in silk.
54000 | 한지 반짇고리 | Hanji Sewing Box | 여러 겹 배접해 단단한 팔각 반짇고리입니다. | An octagonal sewing box made firm by many layers of paper.
31000 | 능화판 선물 상자 | Embossed Gift Box | 능화 무늬를 눌러 찍은 뚜껑 상자입니다. | A lidded box embossed with a carved lattice of flowers.
18000 | 한지 갓 조명 | Hanji Lamp Shade | 쓰던 전등에 끼우는 구겨 만든 한지 갓입니다. | A crumpled paper shade that fits the lamp you have.
67000 | 십장생 병풍 소 | Small Folding Screen | 책상 위에 세우는 여섯 폭 십장생 병풍입니다. | A six-panel screen of the ten symbols of long life, for a desk.
14000 | 한지 봉투 스무 장 | Twenty Hanji Envelopes | 꽃잎을 넣어 뜬 경조사 봉투입니다. | Envelopes for congratulations, made with petals in the pulp.
26000 | 민화 까치호랑이 판화 | Magpie and Tiger Print | 까치와 호랑이를 목판으로 찍은 그림입니다. | A woodblock print of the magpie and the tiger.
33000 | 닥종이 인형 | Hanji Doll | 널뛰는 아이를 닥종이로 빚은 인형입니다. | A child on a seesaw, shaped from mulberry paper.
48000 | 한지 벽시계 | Hanji Wall Clock | 줌치 기법으로 주름을 낸 벽시계입니다. | A wall clock of paper kneaded into leather-like folds.
9000 | 한지 책갈피 여섯 | Six Hanji Bookmarks | 단청 무늬를 찍은 책갈피 여섯 장입니다. | Six bookmarks printed with temple patterns.
37000 | 방패연 | Shield Kite | 가운데 구멍으로 바람을 다스리는 방패연입니다. | A fighting kite steadied by the round hole at its heart.
21000 | 한지 코스터 세트 | Hanji Coaster Set | 물이 스미지 않게 칠한 컵받침 네 장입니다. | Four coasters coated so that no water soaks in.`,
  wood: `
24000 | 대추나무 수저 | Jujube Spoon and Chopsticks | 단단한 대추나무를 깎아 기름을 먹인 수저입니다. | A spoon and chopsticks carved from hard jujube and oiled.
78000 | 소반 | Soban Tray Table | 한 사람 밥상으로 알맞은 은행나무 소반입니다. | A ginkgo tray table the right size for one meal.
35000 | 느티나무 도마 | Zelkova Cutting Board | 결이 고운 느티나무를 통으로 켠 도마입니다. | A cutting board sawn whole from fine-grained zelkova.
29000 | 다식판 | Tea Cookie Mould | 수복 글자를 새긴 다식판입니다. | A mould carved with the characters for long life and luck.
120000 | 오동나무 서랍함 | Paulownia Drawer Chest | 좀이 들지 않는 오동나무 세 단 서랍함입니다. | A three-drawer chest of moth-proof paulownia.
17000 | 대나무 채반 | Bamboo Draining Tray | 부침개 기름이 빠지는 담양 대나무 채반입니다. | A Damyang bamboo tray that lets pancakes drain.
43000 | 목안 한 쌍 | Pair of Wedding Ducks | 백년해로를 비는 나무 오리 한 쌍입니다. | A pair of wooden ducks, a wish for a long marriage.
52000 | 참죽나무 쟁반 | Toona Wood Tray | 붉은 결이 살아 있는 손잡이 쟁반입니다. | A handled tray with lively red grain.
13000 | 편백 비누 받침 | Cypress Soap Dish | 물 빠짐 홈을 판 편백 비누 받침입니다. | A cypress soap dish with grooves to drain.
26000 | 나무 밥주걱 | Wooden Rice Paddle | 밥알이 붙지 않게 다듬은 밥주걱입니다. | A rice paddle smoothed so that no grain sticks.
66000 | 호두나무 책꽂이 | Walnut Book Stand | 짜맞춤으로 못 없이 선 책꽂이입니다. | A book stand that holds by joinery alone.
19000 | 윷놀이 세트 | Yut Game Set | 박달나무 윷가락과 무명 말판입니다. | Birch yut sticks with a cotton board.
38000 | 대나무 죽부인 | Bamboo Bolster | 여름밤 품에 안고 자는 시원한 죽부인입니다. | A woven bamboo bolster to hold on hot nights.
84000 | 창살 문양 거울 | Lattice-Frame Mirror | 꽃살문을 본뜬 소나무 거울입니다. | A mirror in pine, framed like a temple's flower door.
31000 | 떡살 | Rice Cake Stamp | 국화와 빗살을 양면에 새긴 떡살입니다. | A rice cake stamp, chrysanthemum on one side, comb lines on the other.
22000 | 목탁 | Wooden Temple Bell | 살구나무 속을 파내 소리가 맑은 목탁입니다. | A hollowed apricot-wood bell with a clear tone.
58000 | 찻상 | Low Tea Table | 다리를 접어 세워 두는 물푸레 찻상입니다. | An ash tea table with legs that fold away.`,
  lacquer: `
98000 | 나전 명함갑 | Mother-of-Pearl Card Case | 자개 당초를 끊음질로 놓은 명함갑입니다. | A card case with vines of cut mother-of-pearl.
145000 | 나전 보석함 | Mother-of-Pearl Jewellery Box | 모란과 나비를 자개로 놓은 보석함입니다. | A jewellery box with peonies and butterflies in shell.
42000 | 옻칠 젓가락 두 벌 | Two Pairs of Lacquered Chopsticks | 일곱 번 옻을 올린 젓가락 두 벌입니다. | Two pairs of chopsticks with seven coats of lacquer.
64000 | 옻칠 발우 | Lacquered Temple Bowls | 크기대로 포개지는 네 합 발우입니다. | Four monk's bowls that nest one inside the other.
55000 | 나전 손거울 | Mother-of-Pearl Hand Mirror | 매화 가지를 두른 손거울입니다. | A hand mirror ringed by a branch of plum blossom.
38000 | 옻칠 컵받침 넷 | Four Lacquered Coasters | 삼베를 바르고 옻칠한 컵받침입니다. | Coasters of hemp cloth stiffened with lacquer.
76000 | 주칠 과반 | Red Lacquer Fruit Stand | 잔칫상에 올리는 붉은 과반입니다. | A red stand for fruit on a feast day.
29000 | 자개 책갈피 | Shell Bookmark | 얇게 간 자개로 학을 새긴 책갈피입니다. | A bookmark with a crane in thin polished shell.
112000 | 나전 필통함 | Mother-of-Pearl Pen Box | 산수를 새긴 긴 필통함입니다. | A long pen box with a landscape in shell.
47000 | 옻칠 물컵 | Lacquered Cup | 뜨거운 차도 손에 뜨겁지 않은 나무컵입니다. | A wooden cup that stays cool around hot tea.
33000 | 자개 브로치 | Shell Brooch | 달 모양으로 오린 자개 브로치입니다. | A brooch of shell cut as a crescent moon.
84000 | 건칠 꽃병 | Dry-Lacquer Vase | 삼베를 겹쳐 형태를 잡은 가벼운 꽃병입니다. | A light vase shaped from layers of lacquered hemp.
59000 | 옻칠 도시락 | Lacquered Lunch Box | 두 단으로 나뉘는 옻칠 도시락입니다. | A lunch box in two tiers.
26000 | 자개 손톱깎이 세트 | Shell-Inlaid Manicure Set | 자개를 입힌 손톱깎이와 귀이개입니다. | Nail clippers and an ear pick dressed in shell.
71000 | 흑칠 서안 | Black Lacquer Writing Tray | 편지와 붓을 올려 두는 흑칠판입니다. | A black tray for letters and brushes.
45000 | 채화칠 접시 | Painted Lacquer Plate | 색옻으로 나리꽃을 그린 접시입니다. | A plate with a lily painted in coloured lacquer.`,
  metal: `
86000 | 방짜유기 반상기 | Bronze Table Setting | 두드려 만든 놋그릇 밥, 국, 찬기 한 벌입니다. | A hammered bronze set for rice, soup and side dishes.
34000 | 방짜 수저 한 벌 | Bronze Spoon and Chopsticks | 쓸수록 빛이 도는 방짜 수저입니다. | A bronze spoon and chopsticks that brighten with use.
62000 | 놋 술잔 두 점 | Two Bronze Wine Cups | 차가움이 오래가는 놋 술잔입니다. | Bronze cups that keep a drink cold.
128000 | 은입사 향로 | Silver-Inlaid Censer | 쇠에 은실을 박아 당초를 그린 향로입니다. | An iron censer with vines of inlaid silver thread.
45000 | 무쇠 솥 일인용 | Cast-Iron Rice Pot for One | 한 공기 밥이 고슬하게 되는 무쇠 솥입니다. | A cast-iron pot for one fluffy bowl of rice.
18000 | 풍경 | Wind Bell | 처마 끝 물고기 풍경입니다. | A wind bell with the fish that hangs from temple eaves.
23000 | 장석 책갈피 | Hinge-Pattern Bookmark | 반닫이 장석을 본뜬 황동 책갈피입니다. | A brass bookmark cut like the hinge of an old chest.
57000 | 은 가락지 | Silver Twin Rings | 둘을 겹쳐 끼는 은 가락지입니다. | Two plain silver rings worn together.
39000 | 칠보 비녀 머리핀 | Cloisonné Hairpin | 칠보 매화를 단 머리핀입니다. | A hairpin with a plum blossom in enamel.
74000 | 방짜 징 소 | Small Bronze Gong | 여운이 긴 작은 징입니다. | A small gong with a long after-sound.
27000 | 엿가위 | Taffy Scissors | 장단을 치던 엿장수 가위입니다. | The shears that taffy sellers clapped to keep time.
31000 | 황동 촛대 | Brass Candlestick | 나비 바람막이를 단 황동 촛대입니다. | A brass candlestick with a butterfly draught shield.
66000 | 유기 면기 | Bronze Noodle Bowl | 냉면이 끝까지 시원한 놋 면기입니다. | A bronze bowl that keeps cold noodles cold.
42000 | 무쇠 전골판 | Cast-Iron Griddle | 가장자리에 국물을 두르는 전골판입니다. | A griddle with a moat for broth.
21000 | 자물쇠 물고기 | Fish Padlock | 잠들지 않는 물고기 모양 자물쇠입니다. | A padlock shaped as the fish that never sleeps.
53000 | 은 찻숟가락 | Silver Tea Scoop | 연잎 모양으로 두드린 은 찻숟가락입니다. | A tea scoop hammered from silver like a lotus leaf.`,
  tea: `
28000 | 우전 녹차 | First-Flush Green Tea | 곡우 전에 딴 하동 어린잎을 덖은 차입니다. | Young Hadong leaves picked before the spring rain and pan-roasted.
19000 | 세작 녹차 | Second-Flush Green Tea | 날마다 마시기 좋은 구수한 세작입니다. | A nutty second picking for every day.
24000 | 황차 | Yellow Tea | 살짝 띄워 맛이 둥근 황차입니다. | A lightly fermented tea with a rounded taste.
16000 | 메밀차 | Buckwheat Tea | 봉평 메밀을 볶은 고소한 차입니다. | Roasted Bongpyeong buckwheat, warm and nutty.
22000 | 국화차 | Chrysanthemum Tea | 감국 송이를 쪄서 말린 차입니다. | Small golden chrysanthemums, steamed and dried.
17000 | 유자청 | Citron Preserve | 고흥 유자를 채 썰어 재운 청입니다. | Shredded Goheung citron preserved in honey and sugar.
31000 | 대추고 | Jujube Paste | 씨를 발라 열두 시간 고은 대추고입니다. | Stoned jujubes simmered for twelve hours.
14000 | 보리차 | Barley Tea | 가마솥에 볶은 겉보리차입니다. | Unhulled barley roasted in an iron pot.
26000 | 쌍화차 | Ssanghwa Herbal Tea | 당귀와 작약을 달인 진한 차입니다. | A dark brew of angelica and peony root.
45000 | 백자 다관 | Porcelain Teapot | 옆손잡이가 달린 한 손 다관입니다. | A side-handled pot for one hand.
38000 | 찻잔 다섯 점 | Five Teacups | 두께가 얇아 향이 잘 오르는 찻잔입니다. | Thin cups that let the scent rise.
12000 | 다포 | Tea Cloth | 찻자리에 까는 무명 다포입니다. | A cotton cloth to lay under the tea things.
33000 | 숙우 | Cooling Pitcher | 끓인 물을 식히는 부리 고운 숙우입니다. | A pitcher with a clean spout, to cool boiled water.
21000 | 쑥차 | Mugwort Tea | 강화 어린 쑥을 아홉 번 덖은 차입니다. | Young Ganghwa mugwort, roasted nine times.
18000 | 오미자청 | Five-Flavour Berry Syrup | 문경 오미자를 설탕에 재운 청입니다. | Mungyeong omija berries steeped in sugar.
15000 | 옥수수수염차 | Corn Silk Tea | 여름 옥수수수염을 볶은 맑은 차입니다. | A clear tea of roasted summer corn silk.
52000 | 다기 나들이 세트 | Travel Tea Set | 누비 주머니에 담는 다관과 잔 둘입니다. | A pot and two cups in a quilted pouch.`,
  food: `
35000 | 재래 된장 | Traditional Soybean Paste | 삼 년 묵은 콩과 소금뿐인 된장입니다. | Three-year soybean paste of beans and salt alone.
32000 | 찹쌀 고추장 | Glutinous Rice Chilli Paste | 순창 햇고추로 담근 고추장입니다. | Chilli paste made with new Sunchang peppers.
27000 | 씨간장 | Aged Soy Sauce | 해마다 이어 부은 진간장입니다. | Dark soy sauce topped up year after year.
18000 | 들기름 | Perilla Oil | 볶지 않고 짜 맑은 들기름입니다. | Clear perilla oil pressed without roasting.
21000 | 참기름 | Sesame Oil | 낮은 불에 볶아 짠 참기름입니다. | Sesame oil pressed after a slow roast.
42000 | 약과 | Honey Cookies | 겹겹이 갈라지는 개성 약과입니다. | Gaeseong honey cookies that part in layers.
24000 | 쌀강정 | Puffed Rice Bars | 조청에 버무린 쌀강정 열두 개입니다. | Twelve puffed rice bars held by grain syrup.
38000 | 곶감 | Dried Persimmons | 상주 둥시를 예순 날 말린 곶감입니다. | Sangju persimmons dried for sixty days.
16000 | 쌀 조청 | Rice Syrup | 엿기름으로 삭혀 고은 조청입니다. | Syrup of rice and malt, slowly reduced.
29000 | 감태 | Gamtae Seaweed | 서산 갯벌의 향긋한 감태입니다. | Fragrant wild seaweed from the Seosan flats.
33000 | 황태포 | Dried Pollack | 대관령 바람에 얼고 녹은 황태입니다. | Pollack frozen and thawed in Daegwallyeong's wind.
13000 | 천일염 | Sea Salt | 간수를 세 해 뺀 신안 소금입니다. | Sinan sea salt drained for three years.
47000 | 잣 | Pine Nuts | 가평에서 거둔 속껍질 벗긴 잣입니다. | Skinned pine nuts from Gapyeong.
22000 | 육쪽마늘 흑마늘 | Black Garlic | 의성 육쪽마늘을 천천히 익힌 흑마늘입니다. | Uiseong garlic aged until black and sweet.
54000 | 아카시아 꿀 | Acacia Honey | 오월 산기슭에서 뜬 맑은 꿀입니다. | Clear honey taken from May hillsides.
17000 | 도라지 정과 | Candied Bellflower Root | 쌉쌀한 도라지를 조청에 졸인 정과입니다. | Slightly bitter roots candied in grain syrup.
25000 | 현미 누룽지 | Scorched Brown Rice | 가마솥 바닥처럼 구운 누룽지입니다. | Brown rice crisped like the bottom of the pot.`,
  clothing: `
128000 | 생활한복 저고리 | Everyday Jeogori Jacket | 단추로 여미어 입기 쉬운 면 저고리입니다. | A cotton jacket that buttons instead of tying.
98000 | 허리치마 | Wrap Skirt | 주름을 얕게 잡은 무릎 아래 허리치마입니다. | A wrap skirt with shallow pleats, below the knee.
165000 | 누비 조끼 | Quilted Vest | 솜을 얇게 둔 겨울 누비 조끼입니다. | A winter vest with thin quilted cotton.
74000 | 모시 반소매 셔츠 | Ramie Short-Sleeve Shirt | 바람이 드는 모시 셔츠입니다. | A ramie shirt that lets the wind through.
45000 | 버선 양말 세 켤레 | Three Pairs of Beoseon Socks | 코를 살짝 올린 면 양말입니다. | Cotton socks with the turned-up toe.
89000 | 두루마기 가디건 | Durumagi Cardigan | 두루마기 선을 살린 긴 니트입니다. | A long knit with the line of an overcoat.
36000 | 꽃신 실내화 | Flower Slippers | 수를 놓은 꽃신 모양 실내화입니다. | House slippers embroidered like wedding shoes.
58000 | 고름 원피스 벨트 | Goreum Ribbon Belt | 저고리 고름처럼 매는 비단 벨트입니다. | A silk belt tied like a jacket ribbon.
142000 | 철릭 원피스 | Cheollik Dress | 허리 주름이 풍성한 철릭 원피스입니다. | A dress with the full pleats of a warrior's robe.
29000 | 배씨 머리띠 | Baessi Headband | 작은 배씨 댕기를 단 머리띠입니다. | A headband with the little silk seed of a child's ribbon.
33000 | 조바위 털모자 | Jobawi Winter Hat | 귀를 덮는 조바위 모양 털모자입니다. | A winter hat that covers the ears.
67000 | 쪽빛 스카프 | Indigo Scarf | 농도를 달리한 쪽 염색 실크 스카프입니다. | A silk scarf in graded shades of indigo.
54000 | 개량 속바지 | Loose Inner Trousers | 치마 아래 편한 인견 속바지입니다. | Cool rayon trousers to wear under a skirt.
112000 | 배자 | Baeja Fur-Trim Waistcoat | 인조 털로 가장자리를 두른 배자입니다. | A waistcoat edged with imitation fur.
41000 | 댕기 머리끈 셋 | Three Daenggi Hair Ties | 금박을 찍은 짧은 댕기 셋입니다. | Three short ribbons stamped with gold leaf.
86000 | 아이 색동저고리 | Child's Rainbow Jacket | 돌맞이 색동저고리입니다. | A rainbow-sleeved jacket for a first birthday.
49000 | 토시 | Knitted Arm Warmers | 손목을 덥히는 양모 토시입니다. | Wool warmers for the wrists.`,
  home: `
62000 | 왕골 돗자리 | Sedge Floor Mat | 강화 왕골로 짠 두 사람 돗자리입니다. | A mat for two woven from Ganghwa sedge.
27000 | 메밀 베개 | Buckwheat Pillow | 메밀껍질을 채운 낮은 베개입니다. | A low pillow filled with buckwheat hulls.
35000 | 화문석 방석 | Patterned Sedge Cushion | 꽃무늬를 넣어 짠 여름 방석입니다. | A summer cushion woven with flowers.
44000 | 편백 도마 걸이 | Cypress Board Rack | 물기를 말리는 벽걸이 선반입니다. | A wall rack that lets boards dry.
19000 | 갈대 빗자루 | Reed Broom | 마루 먼지를 쓰는 부드러운 빗자루입니다. | A soft reed broom for wooden floors.
53000 | 볏짚 바구니 | Rice-Straw Basket | 둥구미 방식으로 엮은 바구니입니다. | A basket woven like an old grain store.
24000 | 솔향 초 | Pine Candle | 솔잎 향을 담은 밀랍초입니다. | A beeswax candle scented with pine needles.
76000 | 대나무 발 | Bamboo Screen | 문에 거는 가는 대나무 발입니다. | A fine bamboo screen for a doorway.
31000 | 짚풀 냄비받침 둘 | Two Straw Trivets | 볏짚을 틀어 만든 냄비받침입니다. | Trivets of coiled rice straw.
89000 | 한지 스탠드 | Hanji Floor Lamp | 허리 높이의 한지 스탠드입니다. | A waist-high lamp of mulberry paper.
22000 | 복주머니 향낭 | Lucky-Pouch Sachet | 쑥과 박하를 넣은 향낭입니다. | A sachet of mugwort and mint.
38000 | 바람개비 모빌 | Pinwheel Mobile | 오방색 바람개비 모빌입니다. | A mobile of pinwheels in the five colours.
47000 | 목화솜 무릎담요 | Cotton Lap Blanket | 목화솜을 얇게 둔 무릎담요입니다. | A lap blanket with a thin layer of cotton.
15000 | 삼베 수세미 넷 | Four Hemp Scrubbers | 기름을 잘 닦는 삼베 수세미입니다. | Hemp scrubbers that lift grease.
58000 | 싸리 빨래바구니 | Bush-Clover Laundry Basket | 싸리를 엮은 높은 바구니입니다. | A tall basket woven from bush clover.
33000 | 석창포 화분 | Sweet Flag Pot | 책상에 두는 석창포 분입니다. | A pot of sweet flag for the desk.
41000 | 문살 벽걸이 | Lattice Wall Hanging | 띠살문을 줄인 벽 장식입니다. | A small wall piece cut like a paper door.`,
  stationery: `
26000 | 황모 붓 | Weasel-Hair Brush | 끝이 살아 있는 세필 붓입니다. | A fine brush that keeps its point.
34000 | 송연 먹 | Pine-Soot Ink Stick | 소나무 그을음을 아교로 빚은 먹입니다. | An ink stick of pine soot and glue.
78000 | 벼루 | Ink Stone | 보령 남포석을 갈아 만든 벼루입니다. | An ink stone ground from Boryeong's black slate.
14000 | 오침안정법 공책 | Five-Hole Bound Notebook | 다섯 구멍을 꿰맨 한지 공책입니다. | A mulberry notebook sewn through five holes.
11000 | 민화 엽서 열 장 | Ten Folk-Painting Postcards | 책가도와 화조를 담은 엽서입니다. | Postcards of bookshelves, flowers and birds.
42000 | 돌 도장 | Stone Seal | 이름을 전각해 드리는 도장입니다. | A seal carved with your name.
18000 | 인주함 | Seal Paste Box | 백자 합에 담은 붉은 인주입니다. | Red seal paste in a porcelain box.
23000 | 죽필통 | Bamboo Brush Holder | 대나무 마디를 살린 필통입니다. | A brush holder cut from one joint of bamboo.
9000 | 단청 마스킹 테이프 | Temple-Pattern Tape | 단청 무늬 종이테이프 두 개입니다. | Two rolls of paper tape with temple patterns.
29000 | 문진 두꺼비 | Toad Paperweight | 복을 부르는 두꺼비 문진입니다. | A cast toad that brings luck and holds the page.
16000 | 두루마리 편지지 | Scroll Letter Paper | 길게 써 내려가는 편지지입니다. | Letter paper on a roll, for long letters.
37000 | 필낭 | Brush Roll | 붓을 꽂아 마는 무명 필낭입니다. | A cotton roll with loops for brushes.
52000 | 연적 | Water Dropper | 복숭아 모양 백자 연적입니다. | A porcelain water dropper shaped as a peach.
12000 | 절기 달력 | Seasons Calendar | 스물네 절기를 적은 벽걸이 달력입니다. | A wall calendar of the twenty-four seasonal days.
21000 | 자개 연필 다섯 | Five Shell Pencils | 자개 조각을 박은 연필입니다. | Pencils set with chips of shell.
64000 | 서예 입문 세트 | Calligraphy Starter Set | 붓, 먹, 벼루와 화선지를 담은 상자입니다. | A box with brush, ink, stone and paper.`,
  beauty: `
17000 | 쑥 비누 | Mugwort Soap | 강화 쑥을 우려 넣은 비누입니다. | Soap made with an infusion of Ganghwa mugwort.
19000 | 창포 샴푸 바 | Sweet Flag Shampoo Bar | 단오에 감던 창포를 담은 샴푸입니다. | A shampoo bar with the flag used on Dano day.
32000 | 동백 오일 | Camellia Oil | 제주 동백 씨를 눌러 짠 오일입니다. | Oil pressed from Jeju camellia seeds.
28000 | 쌀겨 세안제 | Rice Bran Cleanser | 고운 쌀겨로 닦는 세안 가루입니다. | A washing powder of fine rice bran.
45000 | 인삼 크림 | Ginseng Cream | 육년근 인삼을 담은 진한 크림입니다. | A rich cream with six-year ginseng.
14000 | 녹두 팩 | Mung Bean Mask | 물에 개어 바르는 녹두 가루입니다. | Mung bean powder to mix with water.
36000 | 참빗 | Fine Bamboo Comb | 대나무를 촘촘히 박은 참빗입니다. | A fine-toothed comb of bamboo.
22000 | 오미자 립밤 | Omija Lip Balm | 오미자로 물들인 립밤입니다. | A lip balm tinted with omija berries.
26000 | 편백수 | Cypress Water | 장성 편백을 증류한 물입니다. | Water distilled from Jangseong cypress.
39000 | 한방 목욕제 | Herbal Bath | 당귀와 천궁을 담은 목욕 주머니입니다. | Bath bags of angelica and lovage root.
13000 | 무명 화장솜 | Cotton Pads | 빨아 쓰는 무명 화장솜 열 장입니다. | Ten washable cotton pads.
54000 | 옥 괄사 | Jade Gua Sha | 춘천 옥을 갈아 만든 괄사입니다. | A massage stone cut from Chuncheon jade.
24000 | 연꽃 향수 고체 | Solid Lotus Perfume | 밀랍에 연꽃 향을 굳힌 향수입니다. | Lotus scent set in beeswax.
31000 | 어성초 토너 | Heartleaf Toner | 어성초를 우린 순한 토너입니다. | A mild toner brewed from heartleaf.
18000 | 숯 비누 | Charcoal Soap | 참숯 가루를 섞은 비누입니다. | Soap with powdered oak charcoal.
42000 | 경대 손거울 | Folding Vanity Mirror | 접어 세우는 작은 경대 거울입니다. | A small mirror that folds up like an old vanity.`,
};

function getStock(sku: string): number {
  return 20 + (createHash('sha256').update(sku).digest().readUInt16BE(0) % 481);
}

/** The products of a new store, always the same. */
export const products: readonly SeedProduct[] = Object.entries(table).flatMap(([category, lines]) =>
  lines
    .trim()
    .split('\n')
    .map((line, index): SeedProduct => {
      const [price, korean, english, inKorean, inEnglish] = line.split(' | ') as [
        string,
        string,
        string,
        string,
        string,
      ];
      const sku = `${category.slice(0, 3).toUpperCase()}-${String(index + 1).padStart(3, '0')}`;
      return {
        sku,
        category,
        price: Number(price),
        stock: getStock(sku),
        korean: { name: korean, description: inKorean },
        english: { name: english, description: inEnglish },
      };
    }),
);
