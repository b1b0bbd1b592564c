// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/source_maps.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <functional>
#include <iterator>
#include <thread>
#include <type_traits>
#include <utility>

#include "lib/source_lookup.h"
#include "lib/source_table.h"

namespace synward {
namespace {

constexpr int not_supported = 524;  // ENOTSUPP, of the kernel alone
constexpr std::size_t batch_size = 16384;

// Until every packet that was under way is through. The command is synchronize_rcu()
// in the kernel (kernel/sched/membarrier.c); programs run in read sections of it.
void wait_for_packets() {
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0) return;
    // With nohz_full it is refused. No packet takes a thousandth of this.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
}

// What the entries are, in numbers.
struct Census {
    std::array<std::uint32_t, std::bit_width(unsigned{SW_SET_ANY})> kinds{};  // by bit of SW_SET_*
    std::array<std::uint32_t, SW_FATE_COUNT> fates{};

    Census() = default;
    explicit Census(std::span<const SourceEntry> entries) {
        for (const SourceEntry& entry : entries) count(entry.prefix, entry.port, entry.fate, 1);
    }
    void count(const Prefix& prefix, std::uint32_t port, sw_fate fate, int by) {
        if (fate == SW_FATE_NONE) return;
        const std::uint32_t sets = source_set(prefix, port);
        for (unsigned bit = 0; bit < kinds.size(); bit++)
            if (sets >> bit & 1) kinds[bit] += by;
        fates[fate % SW_FATE_COUNT] += by;
    }
    [[nodiscard]] std::size_t hosts() const {
        return kinds[std::countr_zero(unsigned{SW_SET_EXACT4})] +
               kinds[std::countr_zero(unsigned{SW_SET_EXACT6})];
    }
    [[nodiscard]] std::uint32_t sets() const {
        std::uint32_t filled = 0;
        for (unsigned bit = 0; bit < kinds.size(); bit++) filled |= (kinds[bit] != 0) << bit;
        return filled;
    }
};

std::uint32_t value_of(const Prefix& prefix, sw_fate fate) {
    return fate | prefix.length << SW_PREFIX_VALUE_LENGTH_SHIFT;
}

// Keys and values of prefixes of one family, as the batch calls take them.
struct Batch {
    int fd = -1;
    const char* name = "";
    std::size_t key_size = 0;
    std::vector<unsigned char> keys{};
    std::vector<std::uint32_t> values{};

    void add(const SourceKey& key, std::uint32_t value) {
        keys.insert(keys.end(), key.bytes, key.bytes + key_size);
        values.push_back(value);
    }
    [[nodiscard]] const unsigned char* key(std::size_t i) const { return keys.data() + i * key_size; }
};

// Calls `many` for runs of the batch, and `one` for each where the kernel has no such
// call for this kind of map. Returns 0 or an errno.
template <typename Many, typename One>
int each(const Batch& batch, const Many& many, const One& one) {
    for (std::size_t done = 0; done < batch.values.size();) {
        auto count = static_cast<__u32>(std::min(batch_size, batch.values.size() - done));
        if (!many(done, count)) {
            done += count;
            continue;
        }
        const int error = errno;
        if (error != not_supported && error != EOPNOTSUPP && error != EINVAL) {
            // What came before the one that failed is done; that one says what is wrong.
            done += std::min<std::size_t>(count, batch.values.size() - done);
            if (done == batch.values.size()) return error;
            if (const int why = one(done)) return why;
            done++;
            continue;
        }
        for (; done < batch.values.size(); done++)
            if (const int why = one(done)) return why;
    }
    return 0;
}

int insert_all(const Batch& batch) {
    return each(
        batch,
        [&](std::size_t from, __u32& count) {
            return bpf_map_update_batch(batch.fd, batch.key(from), &batch.values[from], &count, nullptr);
        },
        [&](std::size_t i) {
            return bpf_map_update_elem(batch.fd, batch.key(i), &batch.values[i], BPF_ANY) ? errno : 0;
        });
}

// Of those that are not there too.
int remove_all(const Batch& batch) {
    return each(
        batch,
        [&](std::size_t from, __u32& count) {
            return bpf_map_delete_batch(batch.fd, batch.key(from), &count, nullptr);
        },
        [&](std::size_t i) {
            return bpf_map_delete_elem(batch.fd, batch.key(i)) && errno != ENOENT ? errno : 0;
        });
}

struct Change {
    Prefix prefix;
    std::uint32_t port;
    sw_fate before, after;  // NONE: not there

    // Of two entries for a packet the one with more of it decides.
    [[nodiscard]] unsigned weight() const { return prefix.length + (port ? 256 : 0); }
};

std::vector<Change> difference(std::span<const SourceEntry> old, std::span<const SourceEntry> wanted) {
    std::vector<Change> changes;
    auto from = old.begin();
    auto to = wanted.begin();
    // Most are the same, of a million.
    static_assert(std::has_unique_object_representations_v<SourceEntry>);
    while (from != old.end() || to != wanted.end()) {
        constexpr std::ptrdiff_t run = 64;
        while (old.end() - from >= run && wanted.end() - to >= run &&
               !std::memcmp(&*from, &*to, run * sizeof *from)) {
            from += run;
            to += run;
        }
        while (from != old.end() && to != wanted.end() && !std::memcmp(&*from, &*to, sizeof *from)) {
            ++from;
            ++to;
        }
        if (from == old.end() && to == wanted.end()) break;
        if (to == wanted.end() || (from != old.end() && from->place() < to->place())) {
            changes.push_back({from->prefix, from->port, from->fate, SW_FATE_NONE});
            ++from;
        } else if (from == old.end() || to->place() < from->place()) {
            changes.push_back({to->prefix, to->port, SW_FATE_NONE, to->fate});
            ++to;
        } else {
            if (from->fate != to->fate) changes.push_back({to->prefix, to->port, from->fate, to->fate});
            ++from;
            ++to;
        }
    }
    return changes;
}

}  // namespace

struct SourceMaps::Impl {
    std::shared_ptr<const MapSet> maps;
    MappedArray<sw_memory> memory;
    MappedArray<sw_source_set> exact;
    MappedArray<__u64> gate;
    unsigned shift;  // sw_config.source_shift
    std::vector<SourceEntry> entries{};
    Census census{};         // of them
    std::uint32_t word = 0;  // sw_config.sources as we left it
    bool written = false;
    std::size_t stale = 0;  // single addresses whose bit in the gate nobody may need

    [[nodiscard]] sw_config& config() const { return memory.data()->config; }
    [[nodiscard]] std::uint32_t live() const {
        return std::atomic_ref(config().sources).load(std::memory_order_acquire);
    }
    // Nobody wrote but us.
    [[nodiscard]] bool ours() const { return written && live() == word; }

    // The sets that belong to a gate of so many bits.
    [[nodiscard]] std::span<sw_source_set> exact_sets(std::uint32_t generation, unsigned gate_shift) const {
        return {exact.data() + (std::size_t{generation} << shift),
                std::size_t{1} << sw_set_exact_shift(gate_shift, shift)};
    }
    [[nodiscard]] SourceTable table(std::uint32_t generation, unsigned gate_shift) const {
        const std::span<sw_source_set> sets = exact_sets(generation, gate_shift);
        return {sets.data(), static_cast<unsigned>(std::bit_width(sets.size())) - 1, config().hash_key};
    }
    // The exact gate of so many bits: see struct sw_gate.
    [[nodiscard]] std::span<__u64> exact_gate(std::uint32_t generation, unsigned gate_shift) const {
        if (gate_shift == SW_GATE_BITS) return memory.data()->gate.exact[generation];
        return {gate.data() + (std::size_t{generation} << shift), std::size_t{1} << (gate_shift - 6)};
    }
    [[nodiscard]] SourceGate gates(std::uint32_t generation, unsigned gate_shift) const {
        return {exact_gate(generation, gate_shift).data(), gate_shift, memory.data()->gate.prefix[generation],
                config().hash_key};
    }
    [[nodiscard]] Batch batch(sw_family family) const {
        if (family == SW_IPV4) return {maps->fd("sw_prefix4"), "sw_prefix4", sizeof(sw_prefix4)};
        return {maps->fd("sw_prefix6"), "sw_prefix6", sizeof(sw_prefix6)};
    }
    [[nodiscard]] std::array<Batch, SW_FAMILIES> prefixes(std::span<const SourceEntry> of,
                                                          std::uint32_t generation) const;

    [[nodiscard]] Result<void> check(std::span<const SourceEntry> wanted) const;
    void store_word(std::uint32_t sets, std::uint32_t generation, unsigned gate_shift);
    void store_counts();
    Result<void> clear(std::uint32_t generation);
    Result<void> insert_prefixes(std::span<const SourceEntry> wanted, std::uint32_t generation);
    Result<void> remove_prefixes(std::span<const SourceEntry> gone, std::uint32_t generation);
    [[nodiscard]] const SourceEntry* fill(std::span<const SourceEntry> wanted, std::uint32_t generation,
                                          unsigned gate_shift);
    Result<void> replace(std::vector<SourceEntry> wanted);
    Result<void> update(std::vector<SourceEntry> wanted);
    Result<void> update(const Prefix& within, std::vector<SourceEntry> wanted);
    // entries[from, to) are replaced.
    Result<void> update(std::size_t from, std::size_t to, std::vector<SourceEntry> wanted);
    Result<void> change(const Change& change);
    void settle_gates(std::span<const SourceEntry> of);

    [[nodiscard]] tl::unexpected<Error> full(const Prefix& at) const {
        return fail(
            ErrorCode::config,
            fmt::format("the source sets are full at {}: they have room for {} single addresses; raise "
                        "limits.sources and load the program anew (synward unload, then load), or list "
                        "prefixes in the place of single addresses",
                        at.to_string(), source_capacity(*maps)));
    }
    [[nodiscard]] tl::unexpected<Error> failed(int error, const Prefix& at) const {
        if (error == ENOSPC || error == E2BIG) return full(at);
        return fail_errno(error, fmt::format("cannot write {} into the source sets", at.to_string()));
    }
};

std::array<Batch, SW_FAMILIES> SourceMaps::Impl::prefixes(std::span<const SourceEntry> of,
                                                          std::uint32_t generation) const {
    std::array<Batch, SW_FAMILIES> batches{};
    for (const sw_family family : {SW_IPV4, SW_IPV6}) batches[family] = batch(family);
    for (const SourceEntry& entry : of)
        if (!entry.prefix.is_host())
            batches[entry.prefix.address.family].add(SourceKey(entry.prefix, entry.port, generation),
                                                     value_of(entry.prefix, entry.fate));
    return batches;
}

Result<void> SourceMaps::Impl::check(std::span<const SourceEntry> wanted) const {
    if (std::atomic_ref(config().abi).load(std::memory_order_acquire) != SW_ABI_VERSION)
        return fail(ErrorCode::missing,
                    "the program has no policy yet, and so no keys for the source sets; protect a service or "
                    "load a config first");
    return check_capacity(*maps, wanted);
}

// All that packets go by, in one store.
void SourceMaps::Impl::store_word(std::uint32_t sets, std::uint32_t generation, unsigned gate_shift) {
    const std::uint32_t serial = (live() >> SW_SET_SERIAL_SHIFT) + 1;
    word = sets | generation << SW_SET_GENERATION_SHIFT | gate_shift << SW_SET_GATE_SHIFT |
           serial << SW_SET_SERIAL_SHIFT;
    std::atomic_ref(config().sources).store(word, std::memory_order_release);
    written = true;
}

void SourceMaps::Impl::store_counts() {
    for (std::size_t fate = 0; fate < census.fates.size(); fate++)
        std::atomic_ref(memory.data()->sources[fate]).store(census.fates[fate], std::memory_order_relaxed);
}

// Prefixes of a generation that another process left.
Result<void> SourceMaps::Impl::clear(std::uint32_t generation) {
    for (const sw_family family : {SW_IPV4, SW_IPV6}) {
        Batch found = batch(family);
        SourceKey key;
        SourceKey next;
        for (const void* from = nullptr; bpf_map_get_next_key(found.fd, from, next.bytes) == 0;
             from = key.bytes) {
            key = next;
            if ((key.bytes[offsetof(sw_prefix6, generation)] & ~SW_PREFIX_BY_PORT) == generation)
                found.add(key, 0);
        }
        if (errno != ENOENT) return fail_errno(errno, fmt::format("cannot list the map {}", found.name));
        if (const int error = remove_all(found))
            return fail_errno(error, fmt::format("cannot empty the map {}", found.name));
    }
    return {};
}

Result<void> SourceMaps::Impl::insert_prefixes(std::span<const SourceEntry> wanted,
                                               std::uint32_t generation) {
    for (const Batch& all : prefixes(wanted, generation)) {
        const int error = insert_all(all);
        if (!error) continue;
        (void)remove_prefixes(wanted, generation);
        return fail_errno(
            error, fmt::format("cannot write {} prefixes into the map {}", all.values.size(), all.name));
    }
    return {};
}

Result<void> SourceMaps::Impl::remove_prefixes(std::span<const SourceEntry> gone, std::uint32_t generation) {
    for (const Batch& all : prefixes(gone, generation))
        if (const int error = remove_all(all))
            return fail_errno(error, fmt::format("cannot empty the map {}", all.name));
    return {};
}

// The single addresses and the gates of a generation that no packet looks at. The entry that finds
// no room in so many sets, or null.
const SourceEntry* SourceMaps::Impl::fill(std::span<const SourceEntry> wanted, std::uint32_t generation,
                                          unsigned gate_shift) {
    const std::span<sw_source_set> sets = exact_sets(generation, gate_shift);
    std::memset(static_cast<void*>(sets.data()), 0, sets.size_bytes());
    std::ranges::fill(exact_gate(generation, gate_shift), 0);
    auto& prefix_gates = memory.data()->gate.prefix[generation];
    std::memset(prefix_gates, 0, sizeof prefix_gates);
    SourceTable places = table(generation, gate_shift);
    SourceGate bits = gates(generation, gate_shift);
    for (const SourceEntry& entry : wanted) {
        if (entry.prefix.is_host() && !places.insert(entry.prefix.address, entry.fate, entry.port))
            return &entry;
        bits.open(entry.prefix);
    }
    return nullptr;
}

Result<void> SourceMaps::Impl::replace(std::vector<SourceEntry> wanted) {
    if (auto done = check(wanted); !done) return done;
    const Census fresh(wanted);
    const bool known = ours();
    if (known && difference(entries, wanted).empty()) return {};
    const std::uint32_t before = sw_set_generation(live());
    const std::uint32_t generation = before ^ 1;
    unsigned gate_shift = SourceGate::shift_for(fresh.hosts(), shift + 6);
    if (!known)
        if (auto done = clear(generation); !done) return done;

    // Sources that resemble each other (one address, many ports) may crowd under some keys.
    const SourceEntry* left_over = fill(wanted, generation, gate_shift);
    while (left_over && gate_shift < shift + 6) left_over = fill(wanted, generation, ++gate_shift);
    if (left_over) return full(left_over->prefix);
    if (auto done = insert_prefixes(wanted, generation); !done) return done;
    store_word(fresh.sets(), generation, gate_shift);
    // From here on the new ones are in force.
    census = fresh;
    store_counts();
    wait_for_packets();
    const std::vector<SourceEntry> old = std::exchange(entries, std::move(wanted));
    stale = 0;
    auto done = known ? remove_prefixes(old, before) : clear(before);
    // What could not be taken out would be in force again after the next replacement.
    if (!done) written = false;
    return done;
}

// One step for packets; 0, or the old fate stays.
Result<void> SourceMaps::Impl::change(const Change& change) {
    const std::uint32_t generation = sw_set_generation(word);
    const Prefix& prefix = change.prefix;
    if (prefix.is_host()) {
        SourceTable places = table(generation, sw_set_gate_shift(word));
        if (change.after == SW_FATE_NONE)
            places.remove(prefix.address, change.port);
        else if (!places.put(prefix.address, change.after, change.port))
            return full(prefix);
    } else {
        const SourceKey key(prefix, change.port, generation);
        const int fd = batch(prefix.address.family).fd;
        const std::uint32_t value = value_of(prefix, change.after);
        if (change.after == SW_FATE_NONE) {
            if (bpf_map_delete_elem(fd, key.bytes) && errno != ENOENT) return failed(errno, prefix);
        } else if (bpf_map_update_elem(fd, key.bytes, &value, BPF_ANY)) {
            return failed(errno, prefix);
        }
    }
    // Only now that it is there: before, the gate would lead to nothing.
    if (change.after != SW_FATE_NONE) gates(generation, sw_set_gate_shift(word)).open(prefix);
    return {};
}

// Closes what no entry needs, word by word: a bit that stays is never seen closed.
void SourceMaps::Impl::settle_gates(std::span<const SourceEntry> of) {
    const std::uint32_t generation = sw_set_generation(word);
    const unsigned gate_shift = sw_set_gate_shift(word);
    const std::span<__u64> live_gate = exact_gate(generation, gate_shift);
    std::vector<__u64> wanted(live_gate.size());
    auto prefix = std::make_unique<sw_gate>();
    std::memset(prefix.get(), 0, sizeof(sw_gate));
    SourceGate fresh(wanted.data(), gate_shift, prefix->prefix[generation], config().hash_key);
    for (const SourceEntry& entry : of) fresh.open(entry.prefix);
    const auto copy = [](__u64* to, const __u64* from, std::size_t words) {
        for (std::size_t i = 0; i < words; i++)
            if (to[i] != from[i]) std::atomic_ref(to[i]).store(from[i], std::memory_order_release);
    };
    copy(live_gate.data(), wanted.data(), wanted.size());
    copy(memory.data()->gate.prefix[generation][0], prefix->prefix[generation][0],
         sizeof prefix->prefix[generation] / sizeof(__u64));
    stale = 0;
}

Result<void> SourceMaps::Impl::update(std::vector<SourceEntry> wanted) {
    if (!ours()) return replace(std::move(wanted));
    return update(0, entries.size(), std::move(wanted));
}

Result<void> SourceMaps::Impl::update(const Prefix& within, std::vector<SourceEntry> wanted) {
    const auto inside = [&](const SourceEntry& entry) {
        return entry.prefix.length >= within.length && within.contains(entry.prefix.address);
    };
    const auto by_port = [](std::span<const SourceEntry> of) { return !of.empty() && of.back().port; };
    if (!ours() || by_port(entries) || by_port(wanted)) {
        // Those of one port lie side by side, and so not those of one prefix.
        std::vector<SourceEntry> all;
        all.reserve(entries.size() + wanted.size());
        std::ranges::copy_if(entries, std::back_inserter(all), std::not_fn(inside));
        all.insert(all.end(), wanted.begin(), wanted.end());
        std::ranges::sort(all, [](const auto& a, const auto& b) { return a.place() < b.place(); });
        return update(std::move(all));
    }
    const auto from = std::ranges::lower_bound(entries, within, {}, &SourceEntry::prefix);
    const auto to = std::ranges::find_if_not(from, entries.end(), inside);
    return update(static_cast<std::size_t>(from - entries.begin()),
                  static_cast<std::size_t>(to - entries.begin()), std::move(wanted));
}

Result<void> SourceMaps::Impl::update(std::size_t from, std::size_t to, std::vector<SourceEntry> wanted) {
    const std::span<const SourceEntry> old = std::span(entries).subspan(from, to - from);
    std::vector<Change> changes = difference(old, wanted);
    if (changes.empty()) return {};
    const std::size_t count = entries.size() - old.size() + wanted.size();
    const auto all = [&] {
        if (old.size() == entries.size()) return std::move(wanted);
        std::vector<SourceEntry> joined;
        joined.reserve(count);
        joined.insert(joined.end(), entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(from));
        joined.insert(joined.end(), wanted.begin(), wanted.end());
        joined.insert(joined.end(), entries.begin() + static_cast<std::ptrdiff_t>(to), entries.end());
        return joined;
    };
    Census fresh = census;
    for (const Change& c : changes) {
        fresh.count(c.prefix, c.port, c.before, -1);
        fresh.count(c.prefix, c.port, c.after, 1);
    }
    // A gate that has become too small is made anew in the other generation, and the exact sets
    // with it. Its bits for each entry are 16 where it was made, and never fewer than 12: then the
    // sets are two thirds full.
    if (12 * fresh.hosts() > std::size_t{1} << sw_set_gate_shift(word)) return replace(all());
    if (fresh.hosts() > source_capacity(*maps) || count - fresh.hosts() > prefix_capacity(*maps))
        return replace(all());  // which says what does not fit, if it does not
    // Additions first, and of them the special ones; removals behind, the general ones first: so
    // what decides about a source is its old entry, and then its new one.
    std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) {
        if ((a.after == SW_FATE_NONE) != (b.after == SW_FATE_NONE)) return a.after != SW_FATE_NONE;
        return a.after ? a.weight() > b.weight() : a.weight() < b.weight();
    });
    const std::uint32_t generation = sw_set_generation(word);
    const unsigned gate_shift = sw_set_gate_shift(word);
    const std::uint32_t sets = word & SW_SET_ANY;
    if (fresh.sets() & ~sets) store_word(sets | fresh.sets(), generation, gate_shift);
    for (std::size_t i = 0; i < changes.size(); i++) {
        auto done = change(changes[i]);
        if (done) continue;
        const std::size_t failed = i;
        bool undone = true;
        // Back in reverse; the message is about the first mistake.
        while (i--)
            undone &=
                change({changes[i].prefix, changes[i].port, changes[i].after, changes[i].before}).has_value();
        store_word(undone ? sets : word & SW_SET_ANY, generation, gate_shift);
        // What is in the maps is not what we know: the next write replaces all.
        written = undone;
        // There is room, but not in the two sets of this one: only a new table moves others.
        if (changes[failed].prefix.is_host()) return replace(all());
        return done;
    }
    for (const Change& c : changes) stale += c.after == SW_FATE_NONE;
    if (old.size() == entries.size()) {
        entries = std::move(wanted);
    } else {
        // In place: the rest stays where it is, or moves by what came or went.
        const std::size_t kept = std::min(old.size(), wanted.size());
        const auto at = entries.begin() + static_cast<std::ptrdiff_t>(from);
        const auto more = std::copy_n(wanted.begin(), kept, at);
        if (kept < wanted.size())
            entries.insert(more, wanted.begin() + static_cast<std::ptrdiff_t>(kept), wanted.end());
        else
            entries.erase(more, entries.begin() + static_cast<std::ptrdiff_t>(to));
    }
    census = fresh;
    store_word(census.sets(), generation, gate_shift);
    store_counts();
    if (stale > 256 + entries.size() / 8 || (stale && entries.size() < 4096)) settle_gates(entries);
    return {};
}

SourceMaps::SourceMaps(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SourceMaps::SourceMaps(SourceMaps&&) noexcept = default;
SourceMaps& SourceMaps::operator=(SourceMaps&&) noexcept = default;
SourceMaps::~SourceMaps() = default;

Result<SourceMaps> SourceMaps::open(std::shared_ptr<const MapSet> maps) {
    auto memory = MappedArray<sw_memory>::create(maps->fd("sw_memory"), 1, "sw_memory");
    if (!memory) return tl::unexpected(memory.error());
    const std::uint32_t sets = maps->entries("sw_exact");
    if (!std::has_single_bit(sets) || sets < 4 || maps->entries("sw_gate") != sets)
        return fail(
            ErrorCode::mismatch,
            fmt::format("the maps sw_exact and sw_gate have {} and {} elements, which must be the same "
                        "power of two; load the program anew",
                        sets, maps->entries("sw_gate")));
    auto exact = MappedArray<sw_source_set>::create(maps->fd("sw_exact"), sets, "sw_exact");
    if (!exact) return tl::unexpected(exact.error());
    auto gate = MappedArray<__u64>::create(maps->fd("sw_gate"), sets, "sw_gate");
    if (!gate) return tl::unexpected(gate.error());
    const auto shift = static_cast<unsigned>(std::bit_width(sets / SW_GENERATIONS)) - 1;
    return SourceMaps(std::unique_ptr<Impl>(
        new Impl{std::move(maps), std::move(*memory), std::move(*exact), std::move(*gate), shift}));
}

std::size_t SourceMaps::capacity() const {
    return source_capacity(*impl_->maps);
}

std::span<const SourceEntry> SourceMaps::entries() const {
    return impl_->entries;
}

bool SourceMaps::in_force() const {
    return impl_->ours();
}

bool SourceMaps::holds_others() const {
    return !impl_->ours() && (impl_->live() & SW_SET_ANY);
}

Result<void> SourceMaps::replace(std::vector<SourceEntry> wanted) {
    return impl_->replace(std::move(wanted));
}

Result<void> SourceMaps::update(std::vector<SourceEntry> wanted) {
    return impl_->update(std::move(wanted));
}

Result<void> SourceMaps::update(const Prefix& within, std::vector<SourceEntry> wanted) {
    return impl_->update(within, std::move(wanted));
}

}  // namespace synward
