"""The vocabulary of the invented world: topics, sentence patterns, names.

Owns plain data that ``prose.py`` puts together. Every word list and sentence here was made up
for this project; any likeness of a name to a real person, group or paper is chance. Must not
hold logic.

Patterns use two marks: ``{slot}`` is filled from the topic or the general lists, ``[a|b|c]``
picks one alternative.
"""

from __future__ import annotations

import re

from watcher.model import Value

_BAR = re.compile(r"\|(?![^\[]*\])")
"""A bar that separates entries, not the alternatives within square brackets."""


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in _BAR.split(" ".join(text.split()).replace("| ", "|")))


class Topic(Value, frozen=True, kw_only=True):
    """The words of one field of research."""

    name: str
    problem: tuple[str, ...]
    """What people try to do."""
    thing: tuple[str, ...]
    """What they work with (plural nouns)."""
    method: tuple[str, ...]
    """Singular noun phrases that name a technique."""
    term: tuple[str, ...]
    """Keywords."""
    trouble: tuple[str, ...]
    """What goes wrong (plural or mass nouns)."""


ALIGNMENT = Topic(
    name="alignment",
    problem=_list("""preference alignment|instruction following|value alignment of assistants|safe
    refusal behaviour|honest calibration|reward modelling|scalable oversight|alignment of language
    models"""),
    thing=_list("""preference pairs|reward models|instruction-tuned checkpoints|policy rollouts|
    annotator judgements|written principles|refusal traces|critique transcripts|chat policies"""),
    method=_list("""direct preference optimization|margin-free reward shaping|constitutional
    critique|pairwise preference optimization|reward distillation|a self-play judge|anchored policy
    regularisation|a listwise preference loss|debate between frozen critics"""),
    term=_list("""preference optimization|RLHF|reward model|constitutional training|KL penalty|
    policy gradient|reward hacking|red teaming|refusal|sycophancy|annotator disagreement|
    preference data|instruction tuning|scalable oversight|calibration|alignment tax"""),
    trouble=_list("""reward hacking|needless refusals|sycophantic answers|length biases|noisy
    annotator
    labels|forgotten skills|drifting reference policies|brittle safety filters"""),
)
SPEECH = Topic(
    name="speech",
    problem=_list("""long-form speech recognition|expressive text-to-speech|speaker diarisation|
    spoken dialogue|speech translation without transcripts|voice conversion|far-field keyword
    spotting|streaming transcription"""),
    thing=_list("""log-mel frames|discrete audio tokens|speaker embeddings|overlapping utterances|
    phoneme lattices|meeting recordings|prosody contours|codec latents|noisy microphones"""),
    method=_list("""a monotonic chunk transducer|codec language modelling|speaker-aware pooling|
    prosody-conditioned flow matching|a streaming encoder with lookahead|phoneme-level
    alignment|self-supervised masking of spectrograms|a two-tier audio tokenizer"""),
    term=_list("""speech recognition|ASR|text-to-speech|neural codec|diarisation|word error rate|
    prosody|streaming inference|speaker verification|conformer|CTC|transducer|spoken dialogue|
    code-switching|audio tokens|voice cloning"""),
    trouble=_list("""hallucinated words in silence|overlapping speakers|accents missing from the
    training data|latency spikes|flat intonation contours|drifting timestamps|far-field echoes|
    errors that spread through cascades"""),
)
DIFFUSION = Topic(
    name="diffusion",
    problem=_list("""text-to-image synthesis|few-step sampling|layout-controlled generation|image
    editing by instruction|high-resolution synthesis|personalised generation|inverse problems with
    generative priors|text-to-video generation"""),
    thing=_list("""noise schedules|latent patches|cross-attention maps|denoising trajectories|
    guidance scales|reference images|score estimates|velocity fields|caption embeddings"""),
    method=_list("""rectified flow distillation|a timestep-aware adapter|consistency training|
    frequency-split denoising|token merging along the trajectory|negative-free guidance|
    score identity matching|a diffusion transformer with sparse heads"""),
    term=_list("""diffusion models|flow matching|classifier-free guidance|latent space|DiT|
    consistency model|image editing|LoRA|sampling steps|noise schedule|text-to-image|score
    matching|cross-attention|super-resolution|video generation|distillation"""),
    trouble=_list("""oversaturated colours|melted hands|collapsed modes at few steps|drifting
    identities|
    leaking attributes between objects|slow samplers|washed-out textures|neglected prompts"""),
)
AGENTS = Topic(
    name="agents",
    problem=_list("""tool use over long horizons|web navigation|autonomous experiment planning|
    multi-agent negotiation|computer use from screenshots|memory for assistants that run for
    weeks|credit assignment across tool calls|household planning in text worlds"""),
    thing=_list("""tool calls|trajectories|browser states|sub-agents|action traces|scratch
    memories|environment resets|task graphs|verifier verdicts"""),
    method=_list("""hindsight plan repair|a hierarchical planner with budgeted memory|turn-level
    credit assignment|a verifier-in-the-loop policy|reflective replay|contract-based delegation|
    environment synthesis by mutation|a shared blackboard between agents"""),
    term=_list("""language agents|tool use|planning|long-horizon tasks|agentic reinforcement
    learning|memory|web navigation|computer use|multi-agent systems|reflection|trajectory
    synthesis|function calling|environment simulation|GUI grounding|orchestration|sandbox"""),
    trouble=_list("""compounding errors|overflowing contexts|loops of useless calls|brittle tool
    schemas|silent failures of tools|sparse rewards|premature stops|states leaked between
    episodes"""),
)
ROBOTICS = Topic(
    name="robotics",
    problem=_list("""dexterous manipulation|bimanual assembly|legged locomotion on rubble|
    vision-language-action control|sim-to-real transfer|language-conditioned grasping|
    deformable object folding|mobile manipulation in kitchens"""),
    thing=_list("""teleoperated demonstrations|tactile readings|action chunks|contact forces|
    egocentric videos|joint trajectories|simulated kitchens|point clouds|wrist cameras"""),
    method=_list("""a vision-language-action policy|contact-aware action chunking|residual
    policy learning|tactile-conditioned diffusion control|a world model with physical anchors|
    retargeting from human hands|domain-randomised curriculum training|latent action
    pretraining"""),
    term=_list("""robot learning|manipulation|imitation learning|vision-language-action|sim-to-real|
    tactile sensing|world model|action chunking|locomotion|teleoperation|diffusion policy|
    affordance|grasping|bimanual control|egocentric video|contact dynamics"""),
    trouble=_list("""slipping contacts|camera shifts|scarce demonstrations|jittery actions|
    compounding covariate shifts|unmodelled friction forces|slow control loops|unsafe
    recoveries"""),
)
RETRIEVAL = Topic(
    name="retrieval",
    problem=_list("""retrieval-augmented generation|multi-hop question answering|dense passage
    retrieval|citation-faithful answering|long-document search|conversational retrieval|
    cross-lingual retrieval|table question answering"""),
    thing=_list("""passages|query rewrites|hard negatives|document chunks|embedding indexes|
    citation spans|evidence graphs|reranker scores|knowledge-base entries"""),
    method=_list("""late-interaction reranking|query decomposition with abstention|a generative
    retriever over document identifiers|contrastive chunk expansion|evidence-gated decoding|
    index-time summarisation|a hybrid sparse and dense retriever|citation-aware finetuning"""),
    term=_list("""retrieval-augmented generation|dense retrieval|reranking|embedding model|
    multi-hop reasoning|hard negatives|citation|grounding|long context|query rewriting|
    vector index|question answering|late interaction|chunking|knowledge graph|recall"""),
    trouble=_list("""distracting passages|stale indexes|unsupported citations|facts lost in the
    middle|lexical mismatches|over-long prompts|duplicate chunks|confident wrong answers"""),
)
REASONING = Topic(
    name="reasoning",
    problem=_list("""mathematical reasoning|formal theorem proving|reasoning under a token budget|
    verifiable process supervision|puzzle solving by search|self-correction|
    length generalisation|causal question answering"""),
    thing=_list("""chains of thought|proof states|intermediate steps|verifier signals|sampled
    solutions|lemma libraries|search trees|rationales|answer distributions"""),
    method=_list("""reinforcement learning with verifiable rewards|step-level self-verification|
    budget-forced decoding|proof search with learnt tactics|latent chain-of-thought compression|
    a curriculum of mutated problems|majority voting with confidence|process reward
    distillation"""),
    term=_list("""chain of thought|reinforcement learning|verifiable rewards|process reward model|
    theorem proving|test-time compute|self-consistency|mathematics|search|overthinking|
    Lean|curriculum learning|reasoning traces|token budget|GRPO|entropy collapse"""),
    trouble=_list("""endless thoughts on easy questions|unfaithful rationales|collapsed entropies|
    spurious shortcuts|contaminated benchmarks|unverifiable steps|rambling traces|
    arithmetic slips"""),
)
EFFICIENCY = Topic(
    name="efficiency",
    problem=_list("""low-bit quantization|long-context serving|speculative decoding|
    mixture-of-experts routing|cache compression|pretraining under a memory budget|
    structured pruning|on-device inference"""),
    thing=_list("""key-value caches|weight matrices|expert assignments|draft tokens|activation
    outliers|attention sinks|GPU kernels|optimizer states|batch schedules"""),
    method=_list("""rotation-based quantization|a draft-free speculative decoder|linear attention
    with gated state|expert merging by activation similarity|block-sparse prefill|
    error-compensated rounding|layer skipping with early exits|paged cache eviction"""),
    term=_list("""quantization|KV cache|speculative decoding|mixture of experts|sparse attention|
    linear attention|pruning|throughput|latency|low-rank adaptation|state space model|
    memory footprint|FP4|routing|early exit|prefill"""),
    trouble=_list("""activation outliers|memory-bound decoding steps|unbalanced experts|accuracy
    cliffs
    below four bits|thrashing caches|long tails of latency|dead experts|kernel launch overheads"""),
)
CODE = Topic(
    name="code",
    problem=_list("""repository-level code generation|automated program repair|unit test
    synthesis|code review|vulnerability detection|translation between programming languages|
    performance tuning of kernels|issue resolution"""),
    thing=_list("""pull requests|failing tests|call graphs|commit histories|stack traces|patches|
    type signatures|build logs|repositories"""),
    method=_list("""execution-guided search|a patch verifier trained on mutants|graph-aware
    context selection|reinforcement learning from unit tests|round-trip translation|
    static analysis feedback|issue reproduction before repair|an abstract-syntax edit model"""),
    term=_list("""code generation|program repair|unit tests|software engineering agents|execution
    feedback|static analysis|repository context|fuzzing|code review|pass@1|compiler feedback|
    vulnerability|patch|syntax tree|benchmark leakage|kernel generation"""),
    trouble=_list("""patches that overfit the tests|flaky builds|gaps of context across files|
    invented interfaces|weak oracles|stale dependencies|silent type errors|
    leaked solutions"""),
)
SCENES = Topic(
    name="scenes",
    problem=_list("""novel view synthesis|monocular depth estimation|dynamic scene reconstruction|
    text-to-3D generation|camera pose estimation without features|indoor scene editing|
    human avatar capture|relighting from casual photographs"""),
    thing=_list("""Gaussian primitives|multi-view images|signed distance fields|camera rays|
    mesh textures|point maps|video frames|depth priors|light probes"""),
    method=_list("""feed-forward Gaussian splatting|a pose-free reconstruction transformer|
    geometry-aware attention|neural surface refinement|physically grounded inverse rendering|
    4D primitive tracking|view-consistent score distillation|octree token generation"""),
    term=_list("""Gaussian splatting|novel view synthesis|NeRF|depth estimation|3D generation|
    camera pose|mesh|inverse rendering|dynamic scenes|avatar|point cloud|structure from motion|
    texture|multi-view consistency|radiance field|relighting"""),
    trouble=_list("""floating artefacts|texture-less walls|sparse views|inconsistent backs of
    objects|moving shadows|ambiguous scales|hours of optimisation|transparent surfaces"""),
)
MULTIMODAL = Topic(
    name="multimodal",
    problem=_list("""long video understanding|document parsing|chart question answering|
    visual grounding|unified understanding and generation|hallucination control in vision-language
    models|spatial reasoning from images|scientific figure captioning"""),
    thing=_list("""visual tokens|video clips|interleaved documents|region descriptions|chart
    elements|image patches|frame captions|layout boxes|screen recordings"""),
    method=_list("""query-guided token pruning|an encoder-free multimodal transformer|
    native-resolution packing|grounded chain-of-thought over regions|temporal memory banks|
    mixture-of-transformers pretraining|contrastive decoding against blank images|
    layout-aware pretraining"""),
    term=_list("""vision-language model|visual grounding|video understanding|document parsing|OCR|
    visual tokens|hallucination|multimodal pretraining|chart understanding|spatial reasoning|
    image captioning|native resolution|temporal localisation|interleaved data|visual instruction
    tuning|encoder-free"""),
    trouble=_list("""hallucinated objects|lost small letters|language priors that drown the image|
    exploding numbers of tokens|forgotten early frames|swapped sides|misread axes|
    shallow spatial cues"""),
)
SCIENCE = Topic(
    name="science",
    problem=_list("""protein design|molecular property prediction|weather forecasting|materials
    discovery|single-cell annotation|neural operators for fluids|medical report generation|
    seismic event detection"""),
    thing=_list("""amino-acid sequences|molecular graphs|reanalysis fields|crystal structures|
    gene expression profiles|simulation grids|radiology reports|sensor networks|assay
    measurements"""),
    method=_list("""an equivariant flow model|physics-informed fine-tuning|a foundation model over
    unlabelled measurements|active learning with simulators|graph tokenization|
    ensemble-free uncertainty|a spectral neural operator|retrieval over known structures"""),
    term=_list("""protein language model|equivariance|neural operator|weather model|molecule
    generation|foundation model|uncertainty|active learning|single-cell|crystal generation|
    medical imaging|simulation|PDE|drug discovery|remote sensing|time series"""),
    trouble=_list("""tiny labelled sets|violated conservation laws|batch effects|implausible
    structures|distribution shifts between hospitals|costly simulations|smoothed-out extremes|
    unreported failures"""),
)
TOPICS: tuple[Topic, ...] = (
    ALIGNMENT,
    SPEECH,
    DIFFUSION,
    AGENTS,
    ROBOTICS,
    RETRIEVAL,
    REASONING,
    EFFICIENCY,
    CODE,
    SCENES,
    MULTIMODAL,
    SCIENCE,
)

TITLES = _list("""{Name}: {Method} for {Problem}|{Name}: {Adjective} {Problem} with {Thing}|
{Adjective} {Problem} via {Phrase}|Rethinking the {Phrase} in {Problem}|{Name}: Towards {Adjective}
{Problem}|When Does a {Phrase} Help? Lessons from {Thing}|{Bench}: A Benchmark for {Problem}|
Beyond {Trouble}: {Phrase} for {Problem}|{Name}: Learning {Problem} from {Thing}|
Less {Trouble}, Better {Problem} with {Name}|On the Limits of the {Phrase}|{Name} Technical Report:
{Adjective} {Problem}|What {Thing} Know about {Problem}: A {Phrase} View|{Adjective} {Thing} Are
Enough for {Problem}: The Case of {Name}|{Bench}: How Far Are We from {Adjective} {Problem}?|{Name}:
Scaling {Problem} to {Number} {Thing}|Taming {Trouble} in {Problem} by {Phrase}|From {Thing} to
{Problem}: {Adjective} {Term} with {Name}""")

ADJECTIVE = _list("""robust|frugal|faithful|unified|verifiable|scalable|data-efficient|
training-free|interpretable|adaptive|open-ended|lightweight|continual|self-improving|controllable|
end-to-end|hierarchical|grounded|parallel|steerable|reproducible|budget-aware|modular|streaming""")

OPENERS = _list("""Progress in {problem} has [come from|been driven by|rested on] ever larger
collections of {thing}, yet {trouble} [remain|stay|persist] in practice.|{Problem} is
[usually|commonly|still mostly] treated as a matter of scale, and {trouble} are
[accepted|tolerated|written off] as a cost of doing business.|Systems for {problem} [now reach|have
reached|approach] the quality of careful human work on short inputs, but they
[degrade|stumble|break down] as soon as {thing} become long, rare or contradictory.|Recent work on
{term} suggests that {thing} carry more signal than [current|existing|today's] training recipes
extract.|Although {method} has become the default choice for {problem}, little is known about
[why|when|how often] it fails.|{Problem} asks a model to [balance|reconcile|trade off] {thing}
against {trouble}, a tension that [benchmarks rarely measure|common metrics hide|leaderboards
reward only by accident].|How should a model spend a fixed budget on {problem}?|Practitioners who
deploy {problem} at scale [report|describe|keep returning to] the same two complaints: {trouble}
and {trouble2}.|The gap between laboratory results and deployed {problem} is [wide|stubborn|rarely
quantified], in large part because of {trouble}.|Open models for {problem} lag behind closed ones,
and the difference is often [blamed on|attributed to|explained by] data rather than
{trouble}.""")

GAPS = _list("""Existing approaches either rely on {thing} that are expensive to collect, or
[ignore|sidestep|average away] {trouble}.|We [trace|attribute|link] this weakness to {trouble},
which standard {term} objectives [do not penalise|actively encourage|cannot see].|Prior methods
based on {method2} assume that {thing} are [independent|clean|abundant], an assumption that breaks
in [realistic|open-world|long-running] settings.|In a [controlled|careful|preregistered] study of
{number} configurations we find that {trouble} explain [{pct}% of|most of|about half of] all
errors.|Two obstacles stand in the way: {trouble} during training and {trouble2} at
[inference|deployment|test] time.|A [common|popular|tempting] remedy, {method2},
[only moves|merely hides|postpones] the problem: {trouble} return as soon as the distribution
shifts.|What is missing is a way to [measure|localise|price] {trouble} without access to
{thing}.|Naively combining {term} with {term2} makes matters worse, since gradients from {thing}
[dominate|cancel|overwrite] those that matter.""")

APPROACHES = _list("""We introduce {Name}, [a framework|a recipe|a simple method|a training
procedure] that combines {method} with {method2}.|This paper presents {Name}, which
[replaces|complements|grounds] {method2} with {method} and needs [no extra labels|a single
additional pass|only public data].|We propose {Name}, {a_adjective} approach to {problem} built on
{method}.|To close this gap we develop {Name}: [first|at its core], {method} [selects|proposes|
filters] candidate {thing}; [then|next], {method2} decides which of them to
[trust|keep|refine].|Our answer is {Name}, [an open|a fully documented|a compact] system in which
{thing} and {thing2} share one [representation|vocabulary|memory].|We revisit {method} and show
that a [small|single|well-placed] change, which we call {Name}, removes {trouble} [altogether|in
most cases|without new parameters].|{Name} [casts|reframes|formulates] {problem} as a game between
{thing} and {thing2}, solved by {method}.|We release {Bench}, a collection of {number}
[hand-checked|adversarially filtered|freshly written] tasks for {problem}, together with
{Name}, a strong reference system.""")

MECHANISMS = _list("""A [learnt|light|frozen] scorer assigns each of the {thing} a weight, so that
updates [concentrate on|favour|follow] the {pct}% that disagree most with the current model.|During
training, {thing} are [perturbed|regrouped|resampled] every {number} steps, which keeps {term}
[stable|honest|well conditioned].|The {term} module runs [in parallel with|ahead of|interleaved
with] the backbone and adds less than {small}% to its [cost|latency|parameters].|We derive a bound
that ties {trouble} to the spectrum of {thing}, and use it to [choose|schedule|anneal] the
strength of {term}.|Instead of {method2}, {Name} [learns|estimates|caches] a compact summary of
{thing} and queries it [on demand|once per step|only when uncertain].|A curriculum moves from
[short|synthetic|easy] {thing} to [long|natural|adversarial] ones, guided by the model's own
[uncertainty|error rate|surprise].|An auxiliary objective based on {term} [discourages|detects|
repairs] {trouble} before they reach the output.|Each stage can be [trained alone|swapped
out|audited], which makes it possible to attribute gains to {term} rather than to {term2}.|
Crucially, no component sees {thing} from the evaluation domains, and {trouble} are measured with
[held-out|independent|blinded] annotators.|We show that {method} and {method2} optimise [the
same|two sides of one|a shared] objective under mild conditions on {thing}.|At inference time a
[threshold|controller|router] decides between a fast path and {method}, [spending|investing]
computation where {trouble} are likely.|The {thing} are organised in a [tree|graph|ring buffer] of
depth {small}, so that memory grows [logarithmically|linearly|not at all] with length.""")

RESULTS = _list("""On {Bench} and {Bench2}, {Name} improves over the strongest baseline by
{small}.{digit} points while using {pct}% [fewer tokens|less memory|less data].|Across {number}
tasks it
[outperforms|matches|surpasses] systems {digit}x its size, and [the margin|its lead|the effect]
grows with the [length|difficulty|rarity] of the input.|Human raters prefer {Name} in {pct}% of
[blind|side-by-side|paired] comparisons.|With only {number} {thing}, {Name} reaches {pct}.{digit}%
on
{Bench}, [up from|against|compared with] {pct2}.{digit2}% for {method2}.|Ablations [confirm|show|
reveal] that {term} accounts for [two thirds|most|roughly half] of the gain, whereas {term2}
contributes [little|nothing measurable|mainly stability].|Training takes {number} GPU hours,
[a fraction|about one tenth|less than half] of what {method2} requires.|A {digit}B model trained
this way [rivals|exceeds|comes within a point of] proprietary systems on {Bench}.|Failures shrink
as well: {trouble} fall by {pct}% and {trouble2} by {pct2}%.|On the harder split of {Bench}, where
earlier methods [collapse|score near chance|fall below {pct2}%], it retains {pct}% of its
accuracy.|The advantage holds for {digit} backbones from {small}M to {number}M parameters and
[for|across] {digit2} languages.|Annotators [described|named|reported] what they saw as "{phrase}",
and the effect is [significant|robust] (p < 0.0{digit}).|A full run costs \\{small}.{digit}0 per
task & saves {pct}% of the tokens.|Variance stays low: {pct}.{digit} ± 0.{digit2} over {small}
seeds on {Bench}.""")

CLOSERS = _list("""We release code, weights and [evaluation logs|all prompts|raw annotations].|These
findings suggest that {problem} is limited [less by scale than by|chiefly by|not by data but by]
{trouble}.|Our analysis [cautions against|questions|complicates] the habit of reading {term} as
evidence of progress.|We hope that {Bench} will [serve|be used] as a [shared|stable|honest]
yardstick
for {problem}.|Code and models are available at {url}.|Taken together, the results
[point to|argue for|support] {method} as a default for {problem}.|We close with
[open questions|a list of negative results|practical guidance] on {term} and {term2}.|All
experiments can be [repeated|reproduced] on a single [workstation|node] in under {small}
days.""")

SUMMARIES = _list("""{Name} combines {method} with {method2} to reduce {trouble} in {problem},
[improving|raising] results on {Bench} while using [fewer tokens|less memory|less data].|A study of
{problem} shows that {trouble} stem from {thing} and that {method} [mitigates|removes|halves]
them.|{Name} is {a_adjective} approach to {problem} that uses {method} over {thing} and
[outperforms|matches] larger systems.|{Bench} evaluates {problem} with [hand-checked|adversarially
filtered] tasks and reveals {trouble} in current models.|{Method} enables {adjective} {problem} by
organising {thing} with {term}, [achieving|reaching] strong results at low cost.""")

GIVEN = _list("""Adaeze|Akira|Aleksandra|Amara|Anaïs|Anders|Anika|Arjun|Astrid|Ayşe|Beatriz|Bilal|
Bogdan|Camila|Cheng|Chiara|Chloé|Daniela|Darya|Deepika|Diego|Dmitri|Ebony|Eduardo|Eero|Elif|Elena|
Emeka|Emil|Esra|Fatima|Felix|Feng|Freya|Gabriela|Giulia|Gwen|Hamid|Hana|Haruto|Hassan|Ilse|Imani|
Ines|Ivo|Jae-won|Jakub|Jing|Joaquín|Joon|Kaito|Karim|Katarzyna|Kofi|Lars|Laszlo|Leila|Li|Liang|
Linh|Lorenzo|Luca|Maja|Malik|Marek|Marta|Matteo|Mei|Mikael|Min|Mira|Mohan|Nadia|Naoko|Nia|Nikhil|
Noor|Oksana|Olivia|Omar|Oskar|Paolo|Pedro|Petra|Phuong|Priya|Qing|Rafael|Rahul|Renata|Rohan|Rosa|
Ruth|Sadia|Samir|Sanna|Santiago|Selin|Seo-yeon|Shira|Sofia|Soren|Sunita|Tadeo|Tala|Tariq|Tatiana|
Thabo|Theo|Tomas|Uchenna|Ulrike|Valentina|Vera|Viktor|Wei|Wen|Xiu|Yael|Yan|Yara|Yusuf|Zainab|
Zofia""")
FAMILY_START = _list("""Abra|Aki|Alde|Ama|Anto|Ar|Bala|Bar|Bel|Bo|Bran|Cal|Cas|Chan|Che|Cor|Da|Del|
Dom|Dra|El|En|Fal|Fer|Ga|Gal|Gor|Had|Hal|Ha|Hol|I|Ja|Jin|Ka|Kal|Kor|Ku|La|Lin|Lo|Mal|Mar|Mi|Mor|Na|
Nor|O|Or|Pa|Pel|Qua|Ra|Ren|Ro|Sa|Sal|Sho|So|Ta|Tal|Tsu|U|Va|Vel|Wa|Wen|Xi|Ya|Yo|Za|Zhe""")
FAMILY_END = _list("""bakar|bello|berg|borne|chenko|dahl|dara|dova|enko|escu|feld|gari|grove|hanna|
hara|holt|idze|ikov|inen|jima|kamp|kar|kova|kwe|land|lund|maki|mann|marez|mira|moto|nara|nathan|
ndez|nov|oglu|ovic|pour|quist|rado|rai|rathi|rell|rian|sen|shima|son|stad|stein|tani|tova|tria|
vall|vani|varga|ven|vich|wala|wata|wen|wicz|ying|yo|zadeh|zaki""")

ORGANIZATIONS: tuple[tuple[str, str], ...] = (
    ("halden-institute", "Halden Institute of Technology"),
    ("northlight", "Northlight Labs"),
    ("quillwork", "Quillwork AI"),
    ("university-of-marrow", "University of Marrow"),
    ("tidewater-research", "Tidewater Research"),
    ("bluefen", "Bluefen"),
    ("kestrel-robotics", "Kestrel Robotics"),
    ("openlantern", "Open Lantern"),
    ("sund-university", "Sund University"),
    ("paperbark", "Paperbark Intelligence"),
    ("ostrava-polytechnic-lab", "Vitkov Polytechnic"),
    ("cedarloom", "Cedarloom"),
    ("meridian-speech", "Meridian Speech Group"),
    ("alpenglow", "Alpenglow Computing"),
    ("lakeshore-ai", "Lakeshore Institute for AI"),
    ("saffron-systems", "Saffron Systems"),
    ("institut-corvelle", "Institut Corvelle"),
    ("deepmoor", "Moorland Machine Intelligence"),
    ("hanbyeol-lab", "Hanbyeol Lab"),
    ("fjordworks", "Fjordworks"),
    ("graniteworks", "Granite & Works"),
    ("riverine", "Riverine Foundation"),
    ("yukimori", "Yukimori Research"),
    ("baobab-collective", "Baobab Collective"),
)

NAME_START = _list("""Aero|Amber|Anchor|Arc|Atlas|Bram|Brook|Cade|Cinder|Clar|Cor|Dawn|Delta|Drift|
Echo|Ember|Fable|Fathom|Fern|Flint|Folio|Forge|Glimmer|Grove|Harbor|Helio|Hexa|Iris|Juno|Kelp|Lumen|
Lyra|Maple|Mesa|Mira|Moss|Nimbus|Nova|Ochre|Onyx|Orbit|Osprey|Pebble|Pine|Prism|Quill|Quarry|Raven|
Reed|Relay|Ripple|Sable|Sage|Sierra|Slate|Spire|Strata|Swift|Tessera|Thistle|Tide|Umbra|Vale|Vesper|
Warp|Weft|Willow|Wren|Zephyr|Zinc""")
NAME_END = _list("""Flow|Former|Net|LM|RL|Bench|Loop|Mind|Path|Plan|Tune|Tok|Voice|Scope|Mix|Lens|
Guard|Graph|Gen|Sim|Act|Rank|Cache|Fold|Merge|Trace|Judge|Seek|Craft|Weave|-2|-R|-V|-XL|-Zero|""")

MODIFIER = _list("""amortised|antisymmetric|asynchronous|bilinear|block-diagonal|bounded|calibrated|
causal|chunked|coarse|compressed|conditional|cross-scale|deferred|delayed|dense|detached|
deterministic|dual|dyadic|elastic|factored|flattened|folded|fractional|gated|geometric|greedy|
implicit|incremental|inverted|jittered|kernelised|lagged|lazy|local|low-rank|masked|mirrored|
monotone|multi-rate|nested|noisy|normalised|orthogonal|overlapping|partial|pessimistic|
piecewise|pooled|quantised|randomised|recursive|reversible|rotated|shared|shifted|sketched|
soft|sparse|spectral|staggered|stochastic|symmetric|temporal|tied|truncated|two-stage|
unrolled|warm-started|weighted|zero-centred""")
FOCUS = _list("""advantage|anchor|answer|attention|batch|belief|bias|boundary|budget|cache|channel|
checkpoint|cluster|codebook|confidence|context|contrast|cost|critic|curvature|decoder|delay|
density|dictionary|embedding|encoder|energy|entropy|episode|error|evidence|feature|feedback|field|
frame|frequency|gradient|graph|guidance|history|horizon|index|intent|label|latent|layer|ledger|
logit|margin|memory|message|mixture|moment|motion|noise|object|offset|operator|outcome|patch|
path|phase|position|posterior|prefix|prior|prompt|query|rank|region|residual|reward|rollout|
route|sample|scene|score|segment|sequence|signal|skill|slot|span|state|step|style|subgoal|
surface|teacher|time|token|trace|tree|value|vector|view|weight|window""")
HEAD = _list("""adapter|aggregator|alignment|annealing|average|balancer|bank|bottleneck|bridge|
buffer|
certificate|compiler|constraint|controller|correction|coupling|curriculum|decomposition|
discriminator|
ensemble|estimator|expansion|factorisation|filter|gate|grid|head|hierarchy|interpolation|lattice|
loss|matching|mixer|monitor|normaliser|objective|oracle|parser|penalty|planner|pool|predictor|
prefetch|probe|projection|propagation|proxy|pruning|regression|regulariser|remapping|replay|
resampler|router|sampler|schedule|search|sharing|sketch|smoothing|solver|splitter|stack|
stream|summary|swap|target|transport|unit|update|vote|walk|warping""")
DETAILS = _list("""It consists of a {phrase}, a {phrase} and a {phrase}, trained
[jointly|one after another|from scratch] on {thing}.|Replacing the {phrase} by a {phrase} costs
{small}.{digit} points on {Bench}.|A {phrase} keeps {thing} apart from {thing2}, while a {phrase}
[feeds|steers|corrects] the {phrase}.|The {phrase} is [initialised|regularised|supervised] with
{number} {thing} and then [frozen|discarded|distilled into the {phrase}].|Unlike a {phrase}, the
{phrase} needs neither {thing} nor a {phrase}.|Where {trouble} [occur|persist|are detected], a
{phrase} hands over to {method}.|We [prove|find|observe] that a {phrase} with {number} units
[approximates|subsumes|is equivalent to] {method}.|The {phrase} and the {phrase} [share|exchange|
compete for] {thing}, which [prevents|exposes|localises] {trouble}.""")
