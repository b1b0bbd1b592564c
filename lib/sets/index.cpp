// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/sets/index.h"

#include <algorithm>
#include <array>
#include <utility>

#include "lib/sets/contents.h"

namespace synward {
namespace {

using FateTable = std::array<std::uint8_t, 256>;  // class byte -> enum sw_fate

// What one set says of a prefix: of every packet, or, where ports or marks of packets
// count, of some.
using Word = std::uint8_t;
constexpr Word silent = 0;
constexpr Word mute = 0x80;  // an entry that says nothing; of a list, it ends the search
constexpr Word says(unsigned fate) {
    return static_cast<Word>(1 + fate);
}
// For some packets: a bit for each fate.
constexpr Word says_sometimes(unsigned fate) {
    return static_cast<Word>(1 << fate);
}

bool sometimes(SetKind kind) {
    return kind == SetKind::ip_port || kind == SetKind::net_port || kind == SetKind::ip_mark;
}

// The members of lists in their place: an exception within a member only ends the
// search in that member, as it does within a set of its own.
struct Member {
    const SetContents* set;
    std::size_t bound;  // number of the set, or of the list it is in
};

void flatten(const SetContents& set, std::size_t bound, std::vector<Member>& out) {
    if (set.size()) out.push_back({&set, bound});
    for (const auto& member : set.members()) flatten(*member, bound, out);
}

std::vector<Member> flatten(const std::vector<std::shared_ptr<const SetContents>>& sets) {
    std::vector<Member> out;
    for (std::size_t i = 0; i < sets.size(); i++) flatten(*sets[i], i, out);
    return out;
}

// Goes through the prefixes of one set in order, each once.
template <typename Key>
class Cursor {
  public:
    using Entry = SetContents::Entry<Key>;

    Cursor(const SetContents& set, std::size_t bound, const FateTable& fates, std::string_view interface)
        : set_(&set),
          bound_(bound),
          fates_(&fates),
          interface_(interface),
          at_(set.entries<Key>().data()),
          end_(at_ + set.entries<Key>().size()) {}

    [[nodiscard]] bool done() const { return at_ == end_; }
    [[nodiscard]] const Entry& entry() const { return *at_; }
    [[nodiscard]] std::size_t bound() const { return bound_; }
    [[nodiscard]] bool conditional() const { return sometimes(set_->header().kind); }

    // Passes the entries of this prefix; what the set says there, with what it says around it.
    Word pass(Word around) {
        const Entry& first = *at_;
        Word word = set_->header().kind == SetKind::net_iface || !conditional() ? silent : around;
        bool exact = false;
        for (; at_ != end_ && at_->key == first.key && at_->length == first.length; ++at_) {
            const unsigned fate = (*fates_)[at_->mark];
            switch (set_->header().kind) {
                case SetKind::net_iface: {
                    const auto& interface = set_->interfaces()[at_->extra];
                    if (!interface.matches(interface_) || (exact && interface.wildcard)) break;
                    exact = !interface.wildcard;
                    word = at_->nomatch ? silent : at_->mute ? mute : says(fate);
                    break;
                }
                case SetKind::ip_port:
                case SetKind::net_port:
                    // The driver hook only looks at TCP.
                    if (at_->extra >> 16 != 6) break;
                    [[fallthrough]];
                case SetKind::ip_mark:
                    if (!at_->nomatch && !at_->mute) word |= says_sometimes(fate);
                    break;
                default:
                    word = at_->nomatch ? silent : at_->mute ? mute : says(fate);
                    break;
            }
        }
        return word;
    }

  private:
    const SetContents* set_;
    std::size_t bound_;
    const FateTable* fates_;
    std::string_view interface_;
    const Entry* at_;
    const Entry* end_;
};

// A sweep over all prefixes in order. Those that contain the present one are on a
// stack, each with what every set says there.
template <typename Key>
class Sweep {
  public:
    Sweep(std::vector<Cursor<Key>> cursors, std::vector<SourceEntry>& out)
        : cursors_(std::move(cursors)), out_(out), words_(cursors_.size(), silent) {
        for (const auto& cursor : cursors_) conditional_.push_back(cursor.conditional());
    }

    void run() {
        stack_.push_back({{}, 0, SW_FATE_CHECK});  // everything else
        while (true) {
            const Cursor<Key>* first = nullptr;
            for (const auto& cursor : cursors_)
                if (!cursor.done() && (!first || before(cursor.entry(), first->entry()))) first = &cursor;
            if (!first) return;
            take(first->entry());
        }
    }

  private:
    using Entry = SetContents::Entry<Key>;
    struct Frame {
        Key key;
        unsigned length;
        sw_fate fate;
    };

    static bool before(const Entry& a, const Entry& b) {
        return a.key != b.key ? a.key < b.key : a.length < b.length;
    }

    void take(const Entry& entry) {
        const Key key = entry.key;
        const unsigned length = entry.length;
        while (stack_.size() > 1 && key_prefix(key, stack_.back().length) != stack_.back().key)
            stack_.pop_back();
        const std::size_t sets = cursors_.size();
        const std::size_t depth = stack_.size();
        if (words_.size() < (depth + 1) * sets) words_.resize((depth + 1) * sets);
        const Word* around = &words_[(depth - 1) * sets];
        Word* words = &words_[depth * sets];
        for (std::size_t i = 0; i < sets; i++) {
            Cursor<Key>& cursor = cursors_[i];
            const bool here = !cursor.done() && cursor.entry().key == key && cursor.entry().length == length;
            words[i] = here ? cursor.pass(around[i]) : around[i];
        }
        const sw_fate fate = decide(words);
        if (fate != stack_.back().fate) out_.push_back({{key_address(key), length}, fate});
        stack_.push_back({key, length, fate});
    }

    // The first set that speaks. Where one before it has another word for some packets,
    // the kernel has to look at them.
    [[nodiscard]] sw_fate decide(const Word* words) const {
        unsigned others = 0;
        for (std::size_t i = 0; i < cursors_.size(); i++) {
            if (words[i] == silent) continue;
            if (words[i] == mute) {
                while (i + 1 < cursors_.size() && cursors_[i + 1].bound() == cursors_[i].bound()) i++;
                continue;
            }
            if (conditional_[i]) {
                others |= words[i];
                continue;
            }
            const unsigned fate = words[i] - 1u;
            return others & ~(1u << fate) ? SW_FATE_CHECK : static_cast<sw_fate>(fate);
        }
        return SW_FATE_CHECK;
    }

    std::vector<Cursor<Key>> cursors_;
    std::vector<SourceEntry>& out_;
    std::vector<Frame> stack_;
    std::vector<Word> words_;  // for each frame, of each set
    std::vector<char> conditional_;
};

template <typename Key>
void sweep(const std::vector<Member>& sets, const FateTable& fates, std::string_view interface,
           std::vector<SourceEntry>& out) {
    std::vector<Cursor<Key>> cursors;
    std::size_t entries = 0;
    for (const Member& member : sets) {
        if (member.set->entries<Key>().empty()) continue;
        cursors.emplace_back(*member.set, member.bound, fates, interface);
        entries += member.set->entries<Key>().size();
    }
    if (cursors.empty()) return;
    out.reserve(out.size() + entries);
    Sweep<Key>(std::move(cursors), out).run();
}

}  // namespace

SetIndex::SetIndex(std::vector<std::shared_ptr<const SetContents>> sets) : sets_(std::move(sets)) {}

std::optional<std::uint8_t> SetIndex::find(const SetQuery& query) const {
    for (const auto& set : sets_)
        if (const auto found = set->find(query); found.answer == SetContents::Answer::mark) return found.mark;
    return {};
}

std::vector<SourceEntry> SetIndex::at_driver(const Fates& fates, std::string_view interface) const {
    FateTable table{};
    for (unsigned mark = 0; mark < 256; mark++)
        table[mark] = static_cast<std::uint8_t>(fates.at_driver(static_cast<std::uint8_t>(mark)));
    const std::vector<Member> sets = flatten(sets_);
    std::vector<SourceEntry> entries;
    sweep<Key4>(sets, table, interface, entries);
    sweep<Key6>(sets, table, interface, entries);
    return entries;
}

std::size_t SetIndex::undefined(const Fates& fates) const {
    std::size_t count = 0;
    for (unsigned mark = 1; mark < 256; mark++) {
        if (fates.find(static_cast<std::uint8_t>(mark))) continue;
        for (const auto& set : sets_) count += set->count(static_cast<std::uint8_t>(mark));
    }
    return count;
}

std::size_t SetIndex::size() const {
    std::size_t count = 0;
    for (const Member& member : flatten(sets_)) count += member.set->size();
    return count;
}

}  // namespace synward
