// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/sets/mirror.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <time.h>

#include <algorithm>
#include <ranges>
#include <utility>

#include "lib/sets/message.h"

namespace synward {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

// Of one core, while nothing changes: to look at headers (the kernel walks through a
// set to count it), and to read everything anew.
constexpr unsigned poll_share = 170;       // 1/170: 0.6 %
constexpr unsigned reconcile_share = 330;  // 0.3 %
// And while entries are told all the time: to find those of which nothing tells.
constexpr unsigned doubt_share = 20;  // 5 %
constexpr nanoseconds owed_after = 20ms;
// So long a set that vanished still acts: scripts destroy a set to make it anew.
constexpr auto grace = 10s;
constexpr std::size_t most_prefixes = 65536;
// Told entries of a set that wait for a round; more are read with their set.
constexpr std::size_t most_told = 4096;
// SetHeader::elements of a part whose header is not to be believed.
constexpr std::uint32_t to_read = ~0u;
// What another process wrote is found within this, even if no set is looked at meanwhile.
constexpr auto others_every = 1s;

// Of this thread, in the kernel too: what it waits for others is no cost.
nanoseconds cpu_time() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + nanoseconds(now.tv_nsec);
}

std::vector<Prefix> everything() {
    return {{{SW_IPV4, {}}, 0}, {{SW_IPV6, {}}, 0}};
}

}  // namespace

struct SetMirror::Found {
    std::vector<Prefix> prefixes;
    std::size_t count = 0;
    bool changed = false;
    bool whole = false;
    bool read = false;  // it is more than what was told
    bool owed = false;  // a set could not be read yet
};

void SetMirror::configure(const ClassifyConfig& classify, const SourcesConfig& sources) {
    if (classify_.sets == classify.sets && index_) {
        configured_anew_ = configured_anew_ || classify_.fates != classify.fates ||
                           sources_.deny != sources.deny || sources_.allow != sources.allow;
    } else {
        std::vector<Bound> bound;
        for (const std::string& name : classify.sets) {
            const auto old =
                std::find_if(bound_.begin(), bound_.end(), [&](const Bound& b) { return b.name == name; });
            if (old != bound_.end())
                bound.push_back(std::move(*old));
            else
                bound.push_back({.name = name});
        }
        bound_ = std::move(bound);
        configured_anew_ = true;
    }
    classify_ = classify;
    sources_ = sources;
    next_reconcile_ = std::min<Clock::time_point>(next_reconcile_, Clock::now() + classify.reconcile);
    for (Bound& b : bound_) b.next_poll = {};
}

void SetMirror::add_interface(const std::string& name, std::vector<std::string> receivers, Write write,
                              InForce in_force, Patch patch) {
    remove_interface(name);
    targets_.push_back({.name = name,
                        .receivers = std::move(receivers),
                        .write = std::move(write),
                        .in_force = std::move(in_force),
                        .patch = std::move(patch),
                        .status = {.name = name}});
}

void SetMirror::remove_interface(std::string_view name) {
    std::erase_if(targets_, [&](const Target& t) { return t.name == name; });
}

bool SetMirror::has_told(const Bound& bound) {
    return std::ranges::any_of(bound.parts, [](const Part& part) { return !part.told.empty(); });
}

bool SetMirror::involves(const Bound& bound, std::string_view name) const {
    return name.empty() || bound.name == name ||
           std::any_of(bound.parts.begin(), bound.parts.end(),
                       [&](const Part& part) { return part.header.name == name; });
}

void SetMirror::report(std::string_view name, SetOperation operation, std::span<const std::uint8_t> told) {
    for (Bound& bound : bound_) {
        if (!involves(bound, name) || believe(bound, name, operation, told)) continue;
        bound.dirty = true;
        // Of what is read again, all: a header may look as before.
        if (operation != SetOperation::add && operation != SetOperation::remove) bound.whole = true;
        for (Part& part : bound.parts)
            if (name.empty() || part.header.name == name) part.header.elements = to_read;
    }
}

// Whether what was told will do, so that the set need not be read.
bool SetMirror::believe(Bound& bound, std::string_view name, SetOperation operation,
                        std::span<const std::uint8_t> told) {
    // What is read anyway will have it.
    if (told.empty() || bound.dirty || bound.vanished) return false;
    const auto part = std::ranges::find(bound.parts, name, [](const Part& p) { return p.header.name; });
    if (part == bound.parts.end() || part->told.size() >= most_told) return false;
    if (part->header.elements == to_read) return false;
    auto entry = read_told_entry(part->header, told);
    if (!entry) return false;
    entry->interface = entry->member = entry->text = {};  // they are the event's
    part->told.push_back({*entry, operation == SetOperation::remove});
    return true;
}

// Makes the changes that were told, as they came.
void SetMirror::take_told(Bound& bound, Found& found) {
    const nanoseconds begin = cpu_time();
    bool changed = false;
    for (Part& part : bound.parts) {
        if (part.told.empty()) continue;
        const std::size_t known = found.prefixes.size();
        auto contents = part.contents->with(part.told, found.prefixes);
        part.told.clear();
        part.ahead = true;
        if (contents) {
            found.count += found.prefixes.size() - known;
            part.contents = std::move(contents);
            changed = true;
        }
        part.header.elements = static_cast<std::uint32_t>(part.contents->size());
    }
    if (changed && bound.parts[0].header.kind == SetKind::list) {
        SetBuilder list(bound.parts[0].header);
        for (const Part& part : bound.parts | std::views::drop(1)) list.add_member(part.contents);
        bound.parts[0].contents = std::move(list).finish();
    }
    found.changed = found.changed || changed;
    bound.may_read = Clock::now() + (cpu_time() - begin);  // and what writing it takes: see round()
    bound.taken = true;
}

// Whether the header gives no hint of other entries.
bool SetMirror::alike(const Part& part, SetHeader header) {
    SetHeader known = part.header;
    header.references = known.references;
    if (part.ahead) {
        header.memory = known.memory;
        header.hash_size = known.hash_size;
    }
    return header == known;
}

// Whether a header differs from what was read.
bool SetMirror::moved(Bound& bound, Clock::time_point now) {
    const nanoseconds begin = cpu_time();
    bool differs = bound.parts.empty();
    for (Part& part : bound.parts) {
        auto header = reader_->header(part.header.name);
        polls_++;
        if (header && alike(part, *header)) {
            part.header = std::move(*header);
            part.ahead = false;
            continue;
        }
        // What differs is likely to be told in a moment.
        if (header && header->initval == part.header.initval && part.ahead && now < bound.may_doubt) continue;
        differs = true;
        if (header && header->initval != part.header.initval) bound.whole = true;
        break;
    }
    if (bound.parts.empty()) {
        differs = reader_->header(bound.name).has_value();
        polls_++;
    }
    bound.poll_cost = cpu_time() - begin;
    return differs;
}

// What did not change since is taken over, unless `everything` is to be read.
Result<std::vector<SetMirror::Part>> SetMirror::read(const Bound& bound, bool everything) {
    const auto one = [&](const std::string& name, std::vector<std::string>* members) -> Result<Part> {
        const auto header = reader_->header(name);
        polls_++;
        if (!header) return tl::unexpected(header.error());
        if (const std::string text = unfit(*header); !text.empty()) return fail(ErrorCode::unsupported, text);
        if (header->kind == SetKind::list && !members)
            return fail(ErrorCode::unsupported, fmt::format("the ipset '{}' is a list within a list", name));
        const auto old = std::find_if(bound.parts.begin(), bound.parts.end(),
                                      [&](const Part& part) { return part.header.name == name; });
        // What was told of it meanwhile need not show in its header.
        if (!everything && header->kind != SetKind::list && old != bound.parts.end() && old->told.empty() &&
            alike(*old, *header))
            return Part{*header, old->contents};
        SetBuilder builder(*header);
        const auto done = reader_->read(name, [&](const SetEntry& entry) {
            if (header->kind != SetKind::list)
                builder.add(entry);
            else
                members->emplace_back(entry.member);
        });
        reads_++;
        if (!done) return tl::unexpected(done.error());
        // Destroyed and made again meanwhile: as another kind of set.
        if (done->kind != header->kind || done->family != header->family)
            return fail(ErrorCode::system,
                        fmt::format("the ipset '{}' became another one while it was read", name));
        return Part{*done, std::move(builder).finish()};
    };
    std::vector<std::string> members;
    auto first = one(bound.name, &members);
    if (!first) return tl::unexpected(first.error());
    std::vector<Part> parts{std::move(*first)};
    if (parts[0].header.kind != SetKind::list) return parts;
    SetBuilder list(parts[0].header);
    for (const std::string& name : members) {
        auto part = one(name, nullptr);
        if (!part) {
            if (part.error().code == ErrorCode::missing) part.error().code = ErrorCode::system;
            return tl::unexpected(part.error());
        }
        list.add_member(part->contents);
        parts.push_back(std::move(*part));
    }
    parts[0].contents = std::move(list).finish();
    return parts;
}

void SetMirror::problem(Bound& bound, const std::string& text) {
    if (text == bound.problem) return;
    if (text.empty())
        tell_(false, fmt::format("the ipset '{}' acts at the driver hook again", bound.name));
    else
        tell_(true, text);
    bound.problem = text;
}

void SetMirror::gone(Bound& bound, Clock::time_point now, Found& found) {
    bound.dirty = false;
    if (bound.parts.empty()) return problem(bound, {});
    if (!bound.vanished) {
        bound.vanished = now;
        const auto keep = std::min<nanoseconds>(grace, classify_.reconcile);
        problem(bound,
                fmt::format("the ipset '{}' is gone; its {} entries act at the driver hook for another {} "
                            "s, unless it is created again",
                            bound.name, bound.parts[0].contents->size(),
                            std::chrono::ceil<std::chrono::seconds>(keep).count()));
        bound.may_read = now + keep;
    }
    if (now < bound.may_read) return;
    SetBuilder nothing({});
    found.count += SetContents::difference(*bound.parts[0].contents, *std::move(nothing).finish(),
                                           found.prefixes, most_prefixes);
    found.changed = found.read = found.whole = true;
    bound.parts.clear();
    bound.vanished.reset();
    bound.problem.clear();
    tell_(false, fmt::format("the ipset '{}' is waited for", bound.name));
}

void SetMirror::look(Bound& bound, Clock::time_point now, bool reconcile, Found& found) {
    const bool told = has_told(bound);
    if (told && !bound.dirty && !reconcile) {
        if (now < bound.may_read) return;
        take_told(bound, found);
    }
    // What is wrong may have been put right without a trace: then only headers are read.
    const bool over = bound.vanished && now >= bound.may_read;
    if (!bound.dirty && (reconcile || over || now >= bound.next_poll))
        bound.dirty = moved(bound, now) || !bound.problem.empty();
    const bool reported = bound.dirty || told;
    if (!bound.dirty && !reconcile) return;
    if (!bound.vanished && now < bound.may_read) {  // it changes all the time: not all of a core for it
        found.owed = found.owed || reconcile;
        return;
    }

    const nanoseconds begin = cpu_time();
    auto parts = read(bound, reconcile);
    if (!parts) {
        if (parts.error().code == ErrorCode::missing) return gone(bound, now, found);
        bound.dirty = false;
        bound.whole = false;
        bound.may_read = now + classify_.poll;
        return problem(bound,
                       fmt::format("{}{}", parts.error().message,
                                   bound.parts.empty() ? "" : "; what was read of it before stays in force"));
    }
    const bool first = bound.parts.empty();
    SetBuilder nothing({});
    const auto before = first ? std::move(nothing).finish() : bound.parts[0].contents;
    const std::size_t count =
        SetContents::difference(*before, *(*parts)[0].contents, found.prefixes, most_prefixes);
    // What shows in a header that has changed just now would have been found by the next look.
    const bool seen = !std::ranges::equal(bound.parts, *parts,
                                          [](const Part& a, const Part& b) { return alike(a, b.header); });
    bound.parts = std::move(*parts);
    bound.vanished.reset();
    problem(bound, {});
    bound.read_cost = cpu_time() - begin;
    // As long again for everything else.
    bound.may_read = Clock::now() + bound.read_cost;
    bound.may_doubt = Clock::now() + bound.read_cost * doubt_share;
    bound.dirty = false;
    const bool whole = std::exchange(bound.whole, false);
    if (!count) return;
    found.count += count;
    found.changed = found.read = true;
    found.whole = found.whole || whole || first;
    if (!reported && !seen) drift_ += count;
}

// How often each header is looked at: as often as asked for, while the share of a core
// suffices. What the cheap ones leave of it, the dear ones divide among them.
void SetMirror::pace(Clock::time_point now) {
    const nanoseconds wanted = std::max<nanoseconds>(classify_.poll, 1ms);
    double left = 1.0 / poll_share;
    unsigned dear = 0;
    const auto cheap = [&](const Bound& b) { return b.poll_cost * poll_share * bound_.size() <= wanted; };
    for (const Bound& bound : bound_) {
        if (cheap(bound))
            left -= static_cast<double>(bound.poll_cost.count()) / static_cast<double>(wanted.count());
        else
            dear++;
    }
    for (Bound& bound : bound_) {
        bound.poll_every = wanted;
        if (!cheap(bound))
            bound.poll_every =
                std::max(wanted, nanoseconds(static_cast<std::int64_t>(
                                     static_cast<double>(bound.poll_cost.count()) * dear / left)));
        if (now >= bound.next_poll) bound.next_poll = now + bound.poll_every;
        bound.next_poll = std::min(bound.next_poll, now + bound.poll_every);
    }
}

void SetMirror::rebuild() {
    std::vector<std::shared_ptr<const SetContents>> sets;
    for (const Bound& bound : bound_)
        if (!bound.parts.empty()) sets.push_back(bound.parts[0].contents);
    index_ = std::make_shared<const SetIndex>(sets);
    auto all = sets_of(sources_);
    all.insert(all.end(), sets.begin(), sets.end());
    driver_ = std::make_shared<const SetIndex>(std::move(all));
    tell_undefined();
}

// Each set and mark once, until it is gone.
void SetMirror::tell_undefined() {
    constexpr std::size_t most = 4;
    const auto before = std::exchange(undefined_, index_->undefined(classify_.fates));
    std::string text;
    std::size_t fresh = 0;
    for (const UndefinedMark& one : undefined_) {
        if (std::any_of(before.begin(), before.end(),
                        [&](const UndefinedMark& b) { return b.set == one.set && b.mark == one.mark; }))
            continue;
        if (fresh++ < most)
            text +=
                fmt::format("{}{:#04x} of {} in the ipset '{}'", text.empty() ? "" : ", ", one.mark,
                            one.entries == 1 ? "1 entry" : fmt::format("{} entries", one.entries), one.set);
    }
    if (fresh > most) text += fmt::format(" and {} more", fresh - most);
    if (fresh)
        tell_(true, fmt::format("no fate has the skbmark {}, so that it does nothing; define it by [[fate]] "
                                "in the config",
                                text));
}

std::optional<SetMirror::Change> SetMirror::round() {
    const auto now = Clock::now();
    last_round_ = now;
    const bool reconcile = now >= next_reconcile_;
    const std::size_t before = index_ ? index_->size() : 0;
    Found found;
    if (reader_) {
        for (Bound& bound : bound_) look(bound, now, reconcile, found);
        pace(now);
    }
    changes_ += found.count;
    if (!found.read) told_ += found.count;
    const nanoseconds begin = cpu_time();
    const bool first = !index_;
    const bool anew = std::exchange(configured_anew_, false) || first;
    if (found.changed || anew) {
        rebuild();
        for (Target& target : targets_) target.stale = true;
    }
    for (Target& target : targets_) look_for_others(target, now);
    if (reconcile)
        for (Target& target : targets_) target.stale = target.stale || !target.status.problem.empty();
    if (std::any_of(targets_.begin(), targets_.end(), [](const Target& t) { return t.stale; }))
        write(found.whole || anew || found.count > std::max<std::size_t>(64, before / 16),
              found.changed && !found.read ? &found.prefixes : nullptr);
    if (reconcile) {
        nanoseconds cost{};
        for (const Bound& bound : bound_) cost += bound.read_cost;
        next_reconcile_ =
            Clock::now() +
            (found.owed ? owed_after : std::max<nanoseconds>(classify_.reconcile, cost * reconcile_share));
    }
    // As long again as what was told took, for everything else.
    const nanoseconds written = cpu_time() - begin;
    for (Bound& bound : bound_)
        if (std::exchange(bound.taken, false)) bound.may_read += written;
    if (!found.changed && !anew) return {};
    if (anew || found.prefixes.size() >= most_prefixes) found.prefixes = everything();
    return Change{index_, std::move(found.prefixes)};
}

SetMirror::Clock::time_point SetMirror::next() const {
    auto next = next_reconcile_;
    if (configured_anew_) return {};
    for (const Target& target : targets_) {
        if (target.stale) return {};
        next = std::min<Clock::time_point>(next, last_round_ + others_every);
    }
    if (!reader_) return next;
    for (const Bound& bound : bound_) {
        next = std::min(next, bound.dirty || has_told(bound) ? bound.may_read : bound.next_poll);
        if (bound.vanished) next = std::min(next, bound.may_read);
    }
    return next;
}

Result<void> SetMirror::complete() const {
    for (const Bound& bound : bound_)
        if (bound.parts.empty() && !bound.problem.empty())
            return fail(ErrorCode::unsupported, bound.problem + "; what is in force stays");
    return {};
}

MirrorStatus SetMirror::status() const {
    MirrorStatus status;
    for (const Bound& bound : bound_) {
        MirrorStatus::Set set{
            .name = bound.name, .poll = bound.poll_every, .read = bound.read_cost, .problem = bound.problem};
        for (const Part& part : bound.parts) set.entries += part.contents->size();
        if (!bound.parts.empty()) {
            set.type = bound.parts[0].header.type;
            set.memory = bound.parts[0].contents->memory();
        }
        status.sets.push_back(std::move(set));
    }
    for (const Target& target : targets_) status.interfaces.push_back(target.status);
    status.polls = polls_;
    status.reads = reads_;
    status.told = told_;
    status.changes = changes_;
    status.drift = drift_;
    status.undefined = undefined_;
    return status;
}

}  // namespace synward
